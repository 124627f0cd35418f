import { join } from 'node:path';
import { openAccounts, problemsOf } from '../fill.ts';
import type { Findings } from '../report.ts';
import { type Secured, secured } from '../secured.ts';
import { rounded, spreadOf } from '../statistics.ts';
import { type CallSample, type CallTurn, callTurn, takeTurns } from '../turns.ts';
import type { Bench, Suite } from './suite.ts';

const ACCOUNTS = 10_000;
const CALLERS = [64, 256] as const;
/** One process of the API alone may be 15 % faster or slower than the next for as long as it lives. */
const PROCESSES = 4;

const KINDS = ['plain', 'mutual TLS, JWT, traces'] as const;
type Kind = (typeof KINDS)[number];

/** AuthorizePayment over mutual TLS, with tokens and with traces at the default sampling, beside the same without. */
export const securedSuite: Suite = { kafka: false, run };

async function run(bench: Bench): Promise<Findings> {
  const { environment, options, onProgress, signal } = bench;
  const guard = await secured(join(environment.folder, 'secured'));
  try {
    const { turns, databases } = await startProcesses(bench, guard);
    const contestants = turns.map((turn) => callTurn(environment, options, turn));
    const samples = await takeTurns(contestants, options, onProgress, signal);
    onProgress('reconciling the books');
    for (const database of databases) {
      const problems = await problemsOf(database);
      if (problems.length > 0) throw new Error(`${database.name} does not balance:\n${problems.join('\n')}`);
    }
    return findings(samples);
  } finally {
    guard.close();
  }
}

async function startProcesses({ environment, options, onProgress }: Bench, guard: Secured) {
  onProgress(`opening ${ACCOUNTS} accounts`);
  const template = await environment.database('template');
  await openAccounts(template, ACCOUNTS);
  // A database with a session cannot be copied.
  await template.close();
  const databases = [];
  const turns: CallTurn[] = [];
  for (let index = 1; index <= (options.quick ? 1 : PROCESSES); index++) {
    for (const kind of KINDS) {
      const isPlain = kind === 'plain';
      const name = `${isPlain ? 'plain' : 'secured'}_${index}`;
      const database = await environment.database(name, { template });
      databases.push(database);
      const server = await environment.api(name, database, isPlain ? {} : guard.env);
      for (const callers of CALLERS) {
        turns.push({
          name: nameOf(kind, callers, index),
          server,
          calls: { kind: 'authorize', pattern: 'uniform', accounts: ACCOUNTS },
          callers,
          outcome: 'AUTHORIZED',
          ...(!isPlain && { credentials: guard.credentials }),
        });
      }
    }
  }
  return { turns, databases };
}

const nameOf = (kind: Kind, callers: number, index: number) => `${kind}, ${callers}, process ${index}`;

type Samples = ReadonlyMap<string, readonly CallSample[]>;
type Field = 'perSecond' | 'p50Ms' | 'p99Ms' | 'serverCpu' | 'postgresCpu' | 'residentBytes';

function findings(samples: Samples): Findings {
  const rows = CALLERS.flatMap((callers) => KINDS.map((kind) => ({ kind, callers })));
  const ratio = (callers: number) =>
    rounded(
      spreadOf(mediansOf(samples, KINDS[1], callers, 'perSecond')).median /
        spreadOf(mediansOf(samples, 'plain', callers, 'perSecond')).median,
    );
  const figures = rows.map(({ kind, callers }) => {
    const over = (field: Field) => spreadOf(mediansOf(samples, kind, callers, field));
    return [
      `${kind}, ${callers}`,
      {
        perSecond: over('perSecond'),
        p50Ms: over('p50Ms'),
        p99Ms: over('p99Ms'),
        serverCpuSecondsPer1000: over('serverCpu').median,
        postgresCpuSecondsPer1000: over('postgresCpu').median,
        serverMemoryMb: rounded(over('residentBytes').max / 2 ** 20),
      },
    ] as const;
  });
  return {
    ratios: { secured_vs_plain_64: ratio(64), secured_vs_plain_256: ratio(256) },
    figures: Object.fromEntries(figures),
    table: {
      head: ['', 'per second', 'of the processes', 'p50 ms', 'p99 ms', 'CPU s/1000: server', 'Postgres', 'memory MB'],
      rows: figures.map(([name, figure]) => [
        name,
        figure.perSecond.median.toFixed(0),
        `${figure.perSecond.min.toFixed(0)}-${figure.perSecond.max.toFixed(0)}`,
        figure.p50Ms.median.toFixed(2),
        figure.p99Ms.median.toFixed(2),
        figure.serverCpuSecondsPer1000.toFixed(3),
        figure.postgresCpuSecondsPer1000.toFixed(3),
        figure.serverMemoryMb.toFixed(0),
      ]),
    },
    notes: ['a rate is the middle of its processes, of each of which it is the middle of its turns'],
  };
}

/** The middle turn of each process. */
function mediansOf(samples: Samples, kind: Kind, callers: number, field: Field): number[] {
  return [...samples]
    .filter(([name]) => name.startsWith(`${kind}, ${callers}, `))
    .map(([, taken]) => spreadOf(taken.map((sample) => sample[field])).median);
}
