import type { Abuse, Outcomes } from '../abuse/abuse.ts';
import { AbuseProcess } from '../abuse-process.ts';
import type { BenchDatabase } from '../database.ts';
import type { Environment } from '../environment.ts';
import { openAccounts, problemsOf } from '../fill.ts';
import { accountName } from '../load/accounts.ts';
import { Histogram } from '../load/histogram.ts';
import type { Options } from '../options.ts';
import { residentBytes } from '../process-stats.ts';
import type { Findings } from '../report.ts';
import type { ServiceProcess } from '../service-process.ts';
import { ratioOf, rounded, spreadOf } from '../statistics.ts';
import { type Contestant, takeTurns } from '../turns.ts';
import type { Bench, Suite } from './suite.ts';

/** Those that pay while nobody abuses them. Two more are kept for the abuses. */
const ACCOUNTS = 10_000;
const CALLERS = 64;
const CONNECTIONS = 4;
const ALONE = 'alone';

/** Payments while somebody else does harm, beside payments while nobody does. */
export const abuseSuite: Suite = {
  kafka: false,
  // Locks stay for the whole of a turn: longer than any time-out of the service.
  shortestTurnMs: 12_000,
  run,
};

interface AbuseSample {
  /** Payments AUTHORIZED. */
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Payments that ended in any other way. */
  readonly failed: number;
  /** Memory of the API before the abuse and after it, in bytes; NaN where the system does not tell. */
  readonly beforeBytes: number;
  readonly afterBytes: number;
  /** Of the abuse's own calls, from when it began until it had all answers. */
  readonly outcomes: Outcomes;
}

type Samples = ReadonlyMap<string, readonly AbuseSample[]>;

async function run({ environment, options, onProgress, signal }: Bench): Promise<Findings> {
  const database = await environment.database('abuse');
  await openAccounts(database, ACCOUNTS + 2);
  const service = await environment.api('service', database);
  const abuser = new AbuseProcess();
  try {
    const contestants = [undefined, ...abusesOf(database)].map((abuse) =>
      turn(environment, options, service, abuser, abuse),
    );
    const samples = await takeTurns(contestants, options, onProgress, signal);
    onProgress('reconciling the books');
    const problems = await problemsOf(database);
    if (problems.length > 0) throw new Error(`The books do not balance:\n${problems.join('\n')}`);
    return findings(samples);
  } finally {
    await abuser.stop();
  }
}

function abusesOf({ url: databaseUrl }: BenchDatabase): Abuse[] {
  const lock = { databaseUrl, payer: accountName(ACCOUNTS), payee: accountName(ACCOUNTS + 1) };
  return [
    { kind: 'locked account', ...lock },
    { kind: 'locked key', ...lock },
    { kind: 'watches' },
    { kind: 'reflection' },
    { kind: 'openings' },
    { kind: 'reads', accounts: ACCOUNTS },
  ];
}

let seed = 1;

/** Payments of other accounts than the abuse's, while it goes on. */
function turn(
  environment: Environment,
  options: Options,
  service: ServiceProcess,
  abuser: AbuseProcess,
  abuse: Abuse | undefined,
): Contestant<AbuseSample> {
  const resident = () => residentBytes(service.pid)?.now ?? Number.NaN;
  return {
    name: abuse?.kind ?? ALONE,
    async turn(durationMs, rampMs) {
      seed += 1;
      const beforeBytes = resident();
      if (abuse !== undefined) await abuser.begin(service.address, abuse);
      const result = await environment.load.run({
        address: service.address,
        client: options.client,
        connections: CONNECTIONS,
        calls: { kind: 'authorize', pattern: 'uniform', accounts: ACCOUNTS },
        load: { kind: 'closed', callers: CALLERS },
        rampMs,
        durationMs,
        seed,
      });
      const outcomes = abuse === undefined ? {} : await abuser.end();
      const { AUTHORIZED: authorized = 0, ...others } = result.outcomes;
      const latency = new Histogram(result.latency);
      return {
        perSecond: (authorized / result.durationMs) * 1_000,
        p50Ms: latency.quantileMs(0.5),
        p99Ms: latency.quantileMs(0.99),
        failed: Object.values(others).reduce((sum, count) => sum + count, 0),
        beforeBytes,
        afterBytes: resident(),
        outcomes,
      };
    },
  };
}

function findings(samples: Samples): Findings {
  const alone = samples.get(ALONE)!;
  const abuses = [...samples].filter(([name]) => name !== ALONE);
  const against = (taken: readonly AbuseSample[], field: 'perSecond' | 'p50Ms' | 'p99Ms') =>
    ratioOf(
      taken.map((sample) => sample[field]),
      alone.map((sample) => sample[field]),
    ).median;
  const ratios = abuses.flatMap(([name, taken]) => {
    const key = name.replaceAll(' ', '_');
    const memory = ratioOf(
      taken.map(({ afterBytes }) => afterBytes),
      taken.map(({ beforeBytes }) => beforeBytes),
    ).median;
    return [
      [`rate_${key}`, against(taken, 'perSecond')],
      [`p50_${key}`, against(taken, 'p50Ms')],
      [`p99_${key}`, against(taken, 'p99Ms')],
      [`memory_${key}`, Number.isNaN(memory) ? null : memory],
    ];
  });
  return {
    ratios: Object.fromEntries(ratios),
    figures: Object.fromEntries([...samples].map(([name, taken]) => [name, summary(taken)])),
    table: {
      head: ['', 'per second', 'of alone', 'p50 ms', 'p99 ms', 'p99 / alone', 'failed', 'API MB before', 'after'],
      rows: [...samples].map(([name, taken]) => {
        const { perSecond, p50Ms, p99Ms, failed, beforeMb, afterMb } = summary(taken);
        return [
          name,
          perSecond.median.toFixed(0),
          against(taken, 'perSecond').toFixed(2),
          p50Ms.median.toFixed(2),
          p99Ms.median.toFixed(2),
          against(taken, 'p99Ms').toFixed(2),
          String(failed),
          beforeMb.toFixed(0),
          afterMb.toFixed(0),
        ];
      }),
    },
    notes: [
      `payments of ${CALLERS} callers; the abuse takes its CPU time from the same cores`,
      ...abuses.map(([name, taken]) => `${name}: its own calls ended in ${JSON.stringify(summary(taken).outcomes)}`),
    ],
  };
}

function summary(taken: readonly AbuseSample[]) {
  const over = (field: 'perSecond' | 'p50Ms' | 'p99Ms' | 'beforeBytes' | 'afterBytes') =>
    spreadOf(taken.map((sample) => sample[field]));
  const outcomes: Record<string, number> = {};
  for (const sample of taken) {
    for (const [outcome, count] of Object.entries(sample.outcomes)) {
      outcomes[outcome] = (outcomes[outcome] ?? 0) + count;
    }
  }
  return {
    perSecond: over('perSecond'),
    p50Ms: over('p50Ms'),
    p99Ms: over('p99Ms'),
    failed: taken.reduce((sum, { failed }) => sum + failed, 0),
    beforeMb: rounded(over('beforeBytes').median / 2 ** 20),
    afterMb: rounded(over('afterBytes').median / 2 ** 20),
    outcomes,
  };
}
