import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { RESULTS_FOLDER } from '../environment.ts';
import type { BenchName } from '../options.ts';

// What is drawn of the results in .local/bench/NAME.json.

const spread = z.object({ median: z.number(), min: z.number(), max: z.number() });
const measured = z.object({ perSecond: spread, p50Ms: spread, p99Ms: spread });
const circumstances = z.object({
  machine: z.object({ cores: z.number(), cpu: z.string(), memoryGb: z.number() }),
  node: z.string(),
  client: z.string(),
  rounds: z.number(),
  seconds: z.number(),
});
const moment = z.object({
  atSeconds: z.number(),
  p50Ms: z.number(),
  p99Ms: z.number(),
  apiMemoryMb: z.number(),
  relayMemoryMb: z.number(),
  outboxRows: z.number(),
});

const result = z.object({
  bench: z.string(),
  ratios: z.record(z.string(), z.number().nullable()),
  table: z.object({ head: z.array(z.string()), rows: z.array(z.array(z.string())) }),
  figures: z.looseObject({ circumstances }),
});

export type Result = z.infer<typeof result>;
export type Measured = z.infer<typeof measured>;

/** The last result of a benchmark; undefined if it has not been run here. */
export function readResult(bench: BenchName): Result | undefined {
  const file = join(RESULTS_FOLDER, `${bench}.json`);
  return existsSync(file) ? result.parse(JSON.parse(readFileSync(file, 'utf8'))) : undefined;
}

/** The figures of something that took turns; undefined if it did not. */
export function measuredOf({ figures }: Result, name: string): Measured | undefined {
  return measured.optional().parse(figures[name]);
}

export function sizesOf({ figures }: Result) {
  return z.array(measured.extend({ payments: z.number() })).parse(figures['sizes']);
}

export function momentsOf({ figures }: Result) {
  return z.array(moment).parse(figures['moments']);
}

/** Events per second, by what published them. */
export function relaySpeedsOf({ figures }: Result) {
  return z.record(z.string(), spread).parse(figures['perSecond']);
}
