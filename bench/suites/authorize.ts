import type { BenchDatabase } from '../database.ts';
import { NOWHERE } from '../environment.ts';
import { openAccounts, problemsOf } from '../fill.ts';
import type { Pattern } from '../load/job.ts';
import { bestClients, findPgbench, PGBENCH_MISSING, Tpcb, type TpcbSample } from '../pgbench.ts';
import { residentBytes } from '../process-stats.ts';
import type { Findings } from '../report.ts';
import type { ServiceProcess } from '../service-process.ts';
import { ratioOf, rounded, spreadOf } from '../statistics.ts';
import { type CallSample, type CallTurn, type Contestant, callTurn, takeTurns } from '../turns.ts';
import { type BatchSizes, batchSizes } from './batch-sizes.ts';
import type { Bench, Suite } from './suite.ts';

const ACCOUNTS = 10_000;
const CALLERS = [1, 16, 64, 256] as const;
const TPCB_CLIENTS = [1, 8, 16, 32, 64] as const;
/** Branches: as many as there are clients at most, so that they do not wait for one row. */
const TPCB_SCALE = 64;

/** AuthorizePayment beside itself one payment at a time, TPC-B, and a server that does nothing. */
export const authorizeSuite: Suite = { kafka: false, run };

async function run(bench: Bench): Promise<Findings> {
  const { environment, options, onProgress, signal } = bench;
  const { servers, databases } = await startServers(bench);
  const tpcb = await prepareTpcb(bench);
  const contestants: Contestant<CallSample | TpcbSample>[] = [
    ...callTurns(servers).map((turn) => callTurn(environment, options, turn)),
    ...(tpcb === undefined ? [] : tpcbTurns(tpcb.tpcb, tpcb.clients, signal)),
  ];
  const samples = await takeTurns(contestants, options, onProgress, signal);

  onProgress('reconciling the books');
  for (const database of databases) {
    const problems = await problemsOf(database);
    if (problems.length > 0) throw new Error(`${database.name} does not balance:\n${problems.join('\n')}`);
  }
  const calls = (name: string) => samples.get(name) as CallSample[];
  const batches = await sizesOf(databases[0]!, calls);
  const peakBytes = residentBytes(servers.service.pid)?.peak;
  const figures = {
    ...Object.fromEntries([...samples].map(([name, taken]) => [name, summary(taken, batches.get(name))])),
    apiPeakMemoryMb: peakBytes === undefined ? null : rounded(peakBytes / 2 ** 20),
    tpcb: tpcb === undefined ? null : { clients: tpcb.clients, scale: tpcb.scale, version: tpcb.version },
  };
  return {
    ratios: ratios(samples),
    figures,
    table: table(samples, batches),
    notes: [
      tpcb === undefined
        ? PGBENCH_MISSING
        : `TPC-B: ${tpcb.version}, scale ${tpcb.scale}, best at ${tpcb.clients} clients`,
      `the books of all ${databases.length} databases were reconciled afterwards and balance`,
      ...(peakBytes === undefined ? [] : [`the API's memory peaked at ${rounded(peakBytes / 2 ** 20)} MB`]),
    ],
  };
}

interface Servers {
  readonly service: ServiceProcess;
  /** The same with one payment in each transaction. */
  readonly single: ServiceProcess;
  /** The same with its rate limiter in its own memory, as it is given no Redis. */
  readonly localLimiter: ServiceProcess;
  readonly noop: ServiceProcess;
}

async function startServers({ environment, onProgress }: Bench) {
  onProgress(`opening ${ACCOUNTS} accounts`);
  const template = await environment.database('template');
  await openAccounts(template, ACCOUNTS);
  // A database with a session cannot be copied.
  await template.close();
  const service = await environment.database('service', { template });
  const single = await environment.database('single', { template });
  const local = await environment.database('local', { template });
  const servers: Servers = {
    service: await environment.api('service', service),
    single: await environment.api('single', single, { GROUP_COMMIT_MAX_BATCH: '1' }),
    localLimiter: await environment.api('local-limiter', local, { REDIS_URL: `redis://${NOWHERE}` }),
    noop: await environment.noop(),
  };
  return { servers, databases: [service, single, local] };
}

async function prepareTpcb({ environment, options, onProgress, signal }: Bench) {
  const program = findPgbench();
  if (program === undefined) return undefined;
  const scale = options.quick ? 1 : TPCB_SCALE;
  onProgress(`filling the tables of TPC-B at scale ${scale}`);
  const database = await environment.database('tpcb', { empty: true });
  const tpcb = new Tpcb(program, database.url);
  await tpcb.initialize(scale, signal);
  onProgress('looking for the client count at which TPC-B is fastest');
  const clients = options.quick ? 8 : await bestClients(tpcb, TPCB_CLIENTS, options.durationMs, signal);
  return { tpcb, clients, scale, version: await tpcb.version() };
}

function tpcbTurns(tpcb: Tpcb, clients: number, signal: AbortSignal): Contestant<TpcbSample>[] {
  return [
    { name: 'TPC-B, best', turn: (durationMs) => tpcb.measure(clients, durationMs, signal) },
    { name: 'TPC-B, 1', turn: (durationMs) => tpcb.measure(1, durationMs, signal) },
  ];
}

const UNIFORM = 'uniform';
const nameOf = (server: string, callers: number, pattern: string = UNIFORM) => `${server}, ${pattern}, ${callers}`;

function callTurns({ service, single, localLimiter, noop }: Servers): CallTurn[] {
  const turn = (name: string, server: ServiceProcess, callers: number, pattern: Pattern = UNIFORM): CallTurn => ({
    name: nameOf(name, callers, pattern),
    server,
    calls: { kind: 'authorize', pattern, accounts: ACCOUNTS },
    callers,
    outcome: 'AUTHORIZED',
  });
  return [
    ...CALLERS.flatMap((callers) => [
      turn('service', service, callers),
      turn('no-op', noop, callers),
      turn('group size 1', single, callers),
    ]),
    turn('service', service, 256, 'zipf'),
    turn('service', service, 256, 'hot'),
    turn('group size 1', single, 256, 'hot'),
    turn('limiter without Redis', localLimiter, 256),
    { ...turn('service, grpc-js client', service, 256), client: 'grpc-js' },
    { ...turn('no-op, grpc-js client', noop, 256), client: 'grpc-js' },
  ];
}

type Samples = ReadonlyMap<string, readonly (CallSample | TpcbSample)[]>;

function ratios(samples: Samples): Record<string, number | null> {
  const ratio = (one: string, other: string, field: 'perSecond' | 'p50Ms' = 'perSecond') => {
    const [over, under] = [samples.get(one), samples.get(other)];
    if (over === undefined || under === undefined) return null;
    return ratioOf(
      over.map((sample) => sample[field]),
      under.map((sample) => sample[field]),
    ).median;
  };
  const uniform = nameOf('service', 256);
  return {
    vs_tpcb: ratio(uniform, 'TPC-B, best'),
    vs_noop: ratio(uniform, nameOf('no-op', 256)),
    vs_noop_grpc_js_client: ratio(nameOf('service, grpc-js client', 256), nameOf('no-op, grpc-js client', 256)),
    hot_vs_uniform: ratio(nameOf('service', 256, 'hot'), uniform),
    zipf_vs_uniform: ratio(nameOf('service', 256, 'zipf'), uniform),
    single_latency_vs_tpcb: ratio(nameOf('service', 1), 'TPC-B, 1', 'p50Ms'),
    vs_group_size_1: ratio(uniform, nameOf('group size 1', 256)),
    with_limiter_vs_without_redis: ratio(uniform, nameOf('limiter without Redis', 256)),
  };
}

/** Of the turns of the service itself; the others' transactions are as large as their name says. */
async function sizesOf(
  database: BenchDatabase,
  calls: (name: string) => CallSample[],
): Promise<Map<string, BatchSizes>> {
  const sizes = new Map<string, BatchSizes>();
  const names = [
    ...CALLERS.map((callers) => nameOf('service', callers)),
    nameOf('service', 256, 'zipf'),
    nameOf('service', 256, 'hot'),
  ];
  for (const name of names) sizes.set(name, await batchSizes(database, calls(name)));
  return sizes;
}

function summary(taken: readonly (CallSample | TpcbSample)[], batch: BatchSizes | undefined) {
  const over = (field: keyof CallSample) => spreadOf(taken.map((sample) => (sample as CallSample)[field] as number));
  const common = { perSecond: over('perSecond'), p50Ms: over('p50Ms'), p99Ms: over('p99Ms') };
  if (!('serverCpu' in taken[0]!)) return common;
  return {
    ...common,
    serverCpuSecondsPer1000: over('serverCpu').median,
    postgresCpuSecondsPer1000: over('postgresCpu').median,
    redisCpuSecondsPer1000: over('redisCpu').median,
    clientCpuSecondsPer1000: over('clientCpu').median,
    serverMemoryMb: rounded(over('residentBytes').max / 2 ** 20),
    ...(batch !== undefined && { batch }),
  };
}

function table(samples: Samples, batches: ReadonlyMap<string, BatchSizes>): Findings['table'] {
  const cpu = (seconds: number) => (Number.isNaN(seconds) ? '' : seconds.toFixed(3));
  return {
    head: ['', 'per second', 'spread', 'p50 ms', 'p99 ms', 'CPU s/1000: server', 'Postgres', 'batch', 'memory MB'],
    rows: [...samples].map(([name, taken]) => {
      const { perSecond, p50Ms, p99Ms, ...rest } = summary(taken, batches.get(name));
      const figures = [
        perSecond.median.toFixed(0),
        `${perSecond.min.toFixed(0)}-${perSecond.max.toFixed(0)}`,
        p50Ms.median.toFixed(2),
        p99Ms.median.toFixed(2),
      ];
      if (!('serverCpuSecondsPer1000' in rest)) return [name, ...figures, '', '', '', ''];
      return [
        name,
        ...figures,
        cpu(rest.serverCpuSecondsPer1000),
        cpu(rest.postgresCpuSecondsPer1000),
        batches.get(name)?.mean.toFixed(1) ?? '',
        Number.isNaN(rest.serverMemoryMb) ? '' : rest.serverMemoryMb.toFixed(0),
      ];
    }),
  };
}
