import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import packages from '../package.json' with { type: 'json' };
import { RESULTS_FOLDER } from './environment.ts';
import type { BenchName, Options } from './options.ts';

/** What a benchmark found. */
export interface Findings {
  /** null where it could not be measured; notes say why. */
  readonly ratios: Readonly<Record<string, number | null>>;
  readonly figures: Readonly<Record<string, unknown>>;
  readonly table: Table;
  readonly notes: readonly string[];
}

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What the figures depend on besides the code. */
export function circumstances(settings: Readonly<Record<string, string>>, options: Options) {
  const [cpu] = cpus();
  return {
    machine: { cores: cpus().length, cpu: cpu?.model.trim() ?? 'unknown', memoryGb: Math.round(totalmem() / 2 ** 30) },
    node: process.version,
    packages: Object.fromEntries(
      (['@grpc/grpc-js', 'pg', 'ioredis', 'kafkajs'] as const).map((name) => [name, packages.dependencies[name]]),
    ),
    postgres: settings,
    client: options.client,
    rounds: options.rounds,
    seconds: options.durationMs / 1_000,
  };
}

/** Prints table, ratios and, as the last line, the JSON, and keeps that in a file. */
export async function publish(
  bench: BenchName,
  { ratios, figures, table, notes }: Findings,
  under: ReturnType<typeof circumstances>,
  quick: boolean,
): Promise<void> {
  const { machine, node, postgres } = under;
  console.log(`\n${bench}: ${machine.cores} cores of ${machine.cpu}, ${machine.memoryGb} GB; Node ${node}`);
  console.log(
    `Postgres: ${Object.entries(postgres)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}\n`,
  );
  console.log(`${render(table)}\n`);
  for (const note of notes) console.log(`* ${note}`);
  if (quick) console.log('* --quick: this shows that it runs, and measures nothing');
  const result = { bench, ratios, figures: { ...figures, ...(quick && { quick }), circumstances: under } };
  await mkdir(RESULTS_FOLDER, { recursive: true });
  // With the table, for docs/performance.md. A quick run must not pass for a measurement.
  if (!quick) await writeFile(join(RESULTS_FOLDER, `${bench}.json`), `${JSON.stringify({ ...result, table })}\n`);
  console.log(JSON.stringify(result));
}

function render({ head, rows }: Table): string {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  // The first column is text, the others are numbers.
  const cell = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!);
  return lines.map((line) => line.map(cell).join('  ').trimEnd()).join('\n');
}
