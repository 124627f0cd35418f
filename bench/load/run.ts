import { setTimeout as sleep } from 'node:timers/promises';
import { status as grpcStatus } from '@grpc/grpc-js';
import { type CallSource, callSource } from './calls.ts';
import { connectFrames } from './frames-connection.ts';
import { connectGrpcJs } from './grpc-js-connection.ts';
import { Histogram } from './histogram.ts';
import type { Job, Report, Result } from './job.ts';
import type { Caller, Connect, Connection } from './transport.ts';

const CONNECT: Readonly<Record<Job['client'], Connect>> = { frames: connectFrames, 'grpc-js': connectGrpcJs };

/** How long calls may take to end once no new ones are made. */
const DRAIN_MS = 35_000;

/** Does the job and reports on it. Throws if the server stops. */
export async function run(job: Job, report: (report: Report) => void): Promise<void> {
  let failure: Error | undefined;
  const source = callSource(job.calls, job.seed);
  const connections = await Promise.all(
    Array.from({ length: job.connections }, () =>
      CONNECT[job.client](
        job.address,
        source.path,
        (error) => {
          failure ??= error;
        },
        job.credentials,
      ),
    ),
  );
  const load = new Load(connections, source);
  const pause = async (durationMs: number) => {
    const until = performance.now() + durationMs;
    while (failure === undefined && performance.now() < until) {
      await sleep(Math.min(until - performance.now(), 100));
    }
    if (failure !== undefined) throw failure;
  };
  try {
    load.start(job.load);
    await pause(job.rampMs);
    load.beginSpan();
    report({ kind: 'began' });
    const intervalMs = job.intervalMs ?? job.durationMs;
    for (let leftMs = job.durationMs; leftMs > 0; leftMs -= intervalMs) {
      await pause(Math.min(intervalMs, leftMs));
      const result = load.endSpan();
      report(leftMs > intervalMs ? { kind: 'interval', result } : { kind: 'ended', result });
    }
    load.stop();
    const giveUpAt = performance.now() + DRAIN_MS;
    while (load.inFlight > 0 && failure === undefined && performance.now() < giveUpAt) await sleep(5);
  } finally {
    load.stop();
    for (const connection of connections) connection.close();
  }
}

/** Callers over connections, and what they see between beginSpan and endSpan. */
class Load {
  readonly #connections: readonly Connection[];
  readonly #source: CallSource;
  #next = 0;
  #stopped = false;
  #latency = new Histogram();
  #outcomes: Record<string, number> = {};
  #since = 0;
  inFlight = 0;

  constructor(connections: readonly Connection[], source: CallSource) {
    this.#connections = connections;
    this.#source = source;
  }

  start(load: Job['load']): void {
    if (load.kind === 'open') this.#callAtRate(load.perSecond);
    else for (let i = 0; i < load.callers; i++) this.#callAgainAndAgain();
  }

  stop(): void {
    this.#stopped = true;
  }

  beginSpan(): void {
    this.#latency = new Histogram();
    this.#outcomes = {};
    this.#since = performance.now();
  }

  /** What the span saw; the next one begins. */
  endSpan(): Result {
    const durationMs = performance.now() - this.#since;
    const result = { durationMs, outcomes: this.#outcomes, latency: this.#latency.toJSON() };
    this.beginSpan();
    return result;
  }

  /** One caller: as soon as it has its answer it calls again, over the same connection. */
  #callAgainAndAgain(): void {
    const connection = this.#connection();
    let sentAt = performance.now();
    const call = () => {
      sentAt = performance.now();
      this.inFlight += 1;
      connection.call(this.#source.next(), caller);
    };
    const caller: Caller = {
      replied: (status, reply) => {
        this.#ended(sentAt, status, reply);
        if (!this.#stopped) call();
      },
    };
    call();
  }

  /**
   * Calls at a fixed rate. A call's time counts from when it was due: if the server
   * stalls, those that wait because of it are not forgotten.
   */
  #callAtRate(perSecond: number): void {
    const startedAt = performance.now();
    let sent = 0;
    const tick = () => {
      if (this.#stopped) return;
      const due = Math.floor(((performance.now() - startedAt) * perSecond) / 1_000);
      for (; sent < due; sent++) {
        const dueAt = startedAt + ((sent + 1) * 1_000) / perSecond;
        this.inFlight += 1;
        this.#connection().call(this.#source.next(), {
          replied: (status, reply) => this.#ended(dueAt, status, reply),
        });
      }
      setTimeout(tick, 1);
    };
    tick();
  }

  #connection(): Connection {
    this.#next = (this.#next + 1) % this.#connections.length;
    return this.#connections[this.#next]!;
  }

  #ended(since: number, status: number, reply: Uint8Array | undefined): void {
    this.inFlight -= 1;
    this.#latency.record(performance.now() - since);
    const outcome = status === grpcStatus.OK && reply !== undefined ? this.#source.outcome(reply) : grpcStatus[status]!;
    this.#outcomes[outcome] = (this.#outcomes[outcome] ?? 0) + 1;
  }
}
