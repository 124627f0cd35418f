import type { Environment } from './environment.ts';
import { Histogram } from './load/histogram.ts';
import type { Calls, Job } from './load/job.ts';
import type { Options } from './options.ts';
import { cpuSeconds, postgresCpuSeconds, residentBytes } from './process-stats.ts';
import type { ServiceProcess } from './service-process.ts';

/** One of the things compared; it takes its turn in every round. */
export interface Contestant<Sample> {
  /** Unique in the run. */
  readonly name: string;
  turn(durationMs: number, rampMs: number): Promise<Sample>;
}

/**
 * Lets all contestants take their turns, round after round, after one turn each to
 * warm up. Every other round goes backwards, so that none always follows the same one.
 */
export async function takeTurns<Sample>(
  contestants: readonly Contestant<Sample>[],
  options: Options,
  onProgress: (message: string) => void,
  signal: AbortSignal,
): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(contestants.map(({ name }) => [name, []]));
  for (const [index, contestant] of options.quick ? [] : contestants.entries()) {
    signal.throwIfAborted();
    onProgress(`warm-up ${index + 1} of ${contestants.length}: ${contestant.name}`);
    await contestant.turn(options.warmUpMs, options.rampMs);
  }
  for (let round = 1; round <= options.rounds; round++) {
    for (const contestant of round % 2 === 1 ? contestants : contestants.toReversed()) {
      signal.throwIfAborted();
      onProgress(`round ${round} of ${options.rounds}: ${contestant.name}`);
      samples.get(contestant.name)!.push(await contestant.turn(options.durationMs, options.rampMs));
    }
  }
  return samples;
}

/** What a turn of calls to a server showed. */
export interface CallSample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU seconds for each 1,000 calls; NaN where the system does not tell. */
  readonly serverCpu: number;
  readonly postgresCpu: number;
  readonly redisCpu: number;
  readonly clientCpu: number;
  /** Memory of the server after the turn, in bytes. */
  readonly residentBytes: number;
  readonly outcomes: Readonly<Record<string, number>>;
  /** When it began and ended, in milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
}

export interface CallTurn {
  readonly name: string;
  readonly server: ServiceProcess;
  readonly calls: Calls;
  readonly callers: number;
  /** The outcome that calls should have; a turn in which another one is seen is an error. */
  readonly outcome: string;
  readonly client?: Job['client'];
  readonly credentials?: Job['credentials'];
}

/** Connections that the callers share, if there are as many callers. */
const CONNECTIONS = 4;

let seed = 1;

/** So many callers, each of whom calls the server as soon as it has its last answer. */
export function callTurn(environment: Environment, options: Options, turn: CallTurn): Contestant<CallSample> {
  const { name, server, calls, callers, outcome } = turn;
  return {
    name,
    async turn(durationMs, rampMs) {
      let before = cpuOf(environment, server);
      let from = 0;
      seed += 1;
      const job: Job = {
        address: server.address,
        client: turn.client ?? options.client,
        credentials: turn.credentials,
        connections: Math.min(CONNECTIONS, callers),
        calls,
        load: { kind: 'closed', callers },
        rampMs,
        durationMs,
        seed,
      };
      const result = await environment.load.run(job, {
        began() {
          from = Date.now();
          before = cpuOf(environment, server);
        },
      });
      const to = Date.now();
      const after = cpuOf(environment, server);
      const latency = new Histogram(result.latency);
      const odd = Object.keys(result.outcomes).filter((each) => each !== outcome);
      if (odd.length > 0)
        throw new Error(`${name}: calls should end in ${outcome}: ${JSON.stringify(result.outcomes)}`);
      const perThousand = (part: keyof typeof before) => ((after[part] - before[part]) / latency.total) * 1_000;
      return {
        perSecond: (latency.total / result.durationMs) * 1_000,
        p50Ms: latency.quantileMs(0.5),
        p99Ms: latency.quantileMs(0.99),
        serverCpu: perThousand('server'),
        postgresCpu: perThousand('postgres'),
        redisCpu: perThousand('redis'),
        clientCpu: perThousand('client'),
        residentBytes: residentBytes(server.pid)?.now ?? Number.NaN,
        outcomes: result.outcomes,
        from,
        to,
      };
    },
  };
}

function cpuOf({ postmaster, redisPid, load }: Environment, server: ServiceProcess) {
  const seconds = (pid: number | undefined) => (pid === undefined ? undefined : cpuSeconds(pid)) ?? Number.NaN;
  return {
    server: seconds(server.pid),
    postgres: (postmaster === undefined ? undefined : postgresCpuSeconds(postmaster)) ?? Number.NaN,
    redis: seconds(redisPid),
    client: seconds(load.pid),
  };
}
