import type { BenchDatabase } from '../database.ts';
import { openAccounts, problemsOf } from '../fill.ts';
import { Histogram } from '../load/histogram.ts';
import type { Result } from '../load/job.ts';
import { residentBytes } from '../process-stats.ts';
import type { Findings } from '../report.ts';
import type { ServiceProcess } from '../service-process.ts';
import { rounded } from '../statistics.ts';
import type { Bench, Suite } from './suite.ts';

const ACCOUNTS = 10_000;
/** Points in time at which everything is looked at. */
const SAMPLES = 60;

/** A fixed rate of payments with the relay at work: what changes as time goes by. */
export const soakSuite: Suite = { kafka: true, run };

interface Moment {
  readonly atSeconds: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly apiMemoryMb: number;
  readonly relayMemoryMb: number;
  readonly outboxRows: number;
  /** Tables and their indexes, in MB, by table. */
  readonly tablesMb: Readonly<Record<string, number>>;
  readonly indexesMb: Readonly<Record<string, number>>;
}

async function run({ environment, options, onProgress, signal }: Bench): Promise<Findings> {
  const database = await environment.database('soak');
  await openAccounts(database, ACCOUNTS);
  const relay = await environment.relay('relay', database);
  const service = await environment.api('service', database);
  const intervalMs = options.soakMs / SAMPLES;
  const moments: Moment[] = [];
  const looks: Promise<void>[] = [];
  const note = (result: Result) => {
    if (signal.aborted) return;
    const atSeconds = ((looks.length + 1) * intervalMs) / 1_000;
    looks.push(
      look(database, service, relay, atSeconds, result).then((moment) => {
        moments.push(moment);
        onProgress(
          `${moment.perSecond.toFixed(0)}/s, p50 ${moment.p50Ms.toFixed(2)} ms, p99 ${moment.p99Ms.toFixed(2)} ms, ` +
            `API ${moment.apiMemoryMb.toFixed(0)} MB, outbox ${moment.outboxRows} rows`,
        );
      }),
    );
  };
  const load = environment.load.run(
    {
      address: service.address,
      client: options.client,
      connections: 4,
      calls: { kind: 'authorize', pattern: 'uniform', accounts: ACCOUNTS },
      load: { kind: 'open', perSecond: options.soakRate },
      rampMs: options.warmUpMs,
      durationMs: options.soakMs,
      intervalMs,
      seed: 1,
    },
    { interval: note },
  );
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason ?? new Error('interrupted')), { once: true });
  });
  note(await Promise.race([load, aborted]));
  await Promise.all(looks);
  const problems = await problemsOf(database);
  if (problems.length > 0) throw new Error(`The books do not balance:\n${problems.join('\n')}`);
  return findings(moments, options.soakRate);
}

async function look(
  { client }: BenchDatabase,
  service: ServiceProcess,
  relay: ServiceProcess,
  atSeconds: number,
  result: Result,
): Promise<Moment> {
  const latency = new Histogram(result.latency);
  const { rows } = await client.query<{ name: string; table_bytes: string; index_bytes: string }>(
    `
    select relname as name, pg_table_size(oid)::text as table_bytes, pg_indexes_size(oid)::text as index_bytes
    from pg_class where relkind = 'r' and relname = any ($1) order by relname`,
    [['account_balances', 'payments', 'ledger_entries', 'idempotency_keys', 'outbox']],
  );
  const outbox = await client.query<{ rows: number }>('select count(*)::int as rows from outbox');
  const megabytes = (bytes: number) => rounded(bytes / 2 ** 20);
  return {
    atSeconds,
    perSecond: rounded((latency.total / result.durationMs) * 1_000),
    p50Ms: rounded(latency.quantileMs(0.5)),
    p99Ms: rounded(latency.quantileMs(0.99)),
    apiMemoryMb: megabytes(residentBytes(service.pid)?.now ?? Number.NaN),
    relayMemoryMb: megabytes(residentBytes(relay.pid)?.now ?? Number.NaN),
    outboxRows: outbox.rows[0]!.rows,
    tablesMb: Object.fromEntries(rows.map((row) => [row.name, megabytes(Number(row.table_bytes))])),
    indexesMb: Object.fromEntries(rows.map((row) => [row.name, megabytes(Number(row.index_bytes))])),
  };
}

function findings(moments: readonly Moment[], rate: number): Findings {
  const tenth = Math.max(1, Math.floor(moments.length / 10));
  const mean = (part: readonly Moment[], field: 'p50Ms' | 'p99Ms' | 'apiMemoryMb') =>
    part.reduce((sum, moment) => sum + moment[field], 0) / part.length;
  // The first tenth warms up caches and compilers; the second is where the comparison starts.
  const [early, late] = [moments.slice(tenth, 2 * tenth), moments.slice(-tenth)];
  const drift = (field: 'p50Ms' | 'p99Ms' | 'apiMemoryMb') =>
    early.length === 0 ? null : rounded(mean(late, field) / mean(early, field));
  return {
    ratios: {
      memory_late_vs_early: drift('apiMemoryMb'),
      p50_late_vs_early: drift('p50Ms'),
      p99_late_vs_early: drift('p99Ms'),
    },
    figures: {
      rate,
      apiPeakMemoryMb: Math.max(...moments.map(({ apiMemoryMb }) => apiMemoryMb)),
      outboxMostRows: Math.max(...moments.map(({ outboxRows }) => outboxRows)),
      moments,
    },
    table: {
      head: ['', 'per second', 'p50 ms', 'p99 ms', 'API MB', 'relay MB', 'outbox rows', 'outbox MB'],
      rows: moments
        .filter((_, index) => index % tenth === tenth - 1)
        .map((moment) => [
          `after ${moment.atSeconds.toFixed(0)} s`,
          moment.perSecond.toFixed(0),
          moment.p50Ms.toFixed(2),
          moment.p99Ms.toFixed(2),
          moment.apiMemoryMb.toFixed(0),
          moment.relayMemoryMb.toFixed(0),
          String(moment.outboxRows),
          moment.tablesMb['outbox']?.toFixed(1) ?? '',
        ]),
    },
    notes: [`a fixed rate of ${rate} payments a second; latency counts from when a call was due`],
  };
}
