import { Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from './ports.ts';

/** A job that is done now and then by one of the workers. */
export interface Job {
  readonly name: string;
  readonly everyMs: number;
  /** Returns what to log. Once the signal says stop, nobody waits for it. */
  readonly run: (signal: AbortSignal) => Promise<object>;
}

export interface HousekeepingSettings {
  /** A connection of its own, whose commands wait for Redis; closed by stop. */
  readonly redis: Redis;
  readonly queue: string;
  /** How often the schedules are written again, so that they survive a Redis that lost them. */
  readonly rescheduleMs: number;
}

/**
 * Runs jobs on BullMQ: each of them once in its time, however many workers there
 * are. It carries no event and no payment; while Redis is unreachable jobs wait.
 */
export class Housekeeping {
  readonly #jobs: ReadonlyMap<string, Job>;
  readonly #settings: HousekeepingSettings;
  readonly #log: Logger;
  readonly #redis: Redis;
  readonly #queue: Queue;
  readonly #worker: Worker;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(jobs: readonly Job[], settings: HousekeepingSettings, log: Logger) {
    this.#jobs = new Map(jobs.map((job) => [job.name, job]));
    this.#settings = settings;
    this.#log = log;
    this.#redis = settings.redis;
    this.#queue = new Queue(settings.queue, { connection: this.#redis, skipVersionCheck: true });
    this.#worker = new Worker(settings.queue, (job) => this.#run(job.name), {
      connection: this.#redis,
      autorun: false,
      skipVersionCheck: true,
    });
    // The connection logs once that Redis is unreachable; BullMQ repeats it for each attempt.
    const repeated = (error: Error) => log.debug({ err: error }, 'jobs wait for Redis');
    this.#queue.on('error', repeated);
    this.#worker.on('error', repeated);
    this.#worker.on('failed', (job, error) => {
      if (this.#stopping.signal.aborted) log.info({ job: job?.name }, 'a job was given up');
      else log.error({ err: error, job: job?.name }, 'a job failed');
    });
  }

  start(): void {
    this.#worker.run().catch((error: unknown) => this.#log.error({ err: error }, 'housekeeping has stopped'));
    this.#reschedule();
    this.#timer = setInterval(() => this.#reschedule(), this.#settings.rescheduleMs);
  }

  /** A job that is being done is given up: another worker does it again. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping.abort(new Error('The worker is stopping'));
    const reachable = this.#redis.status === 'ready';
    await this.#worker.close(!reachable);
    await this.#queue.close();
    this.#redis.disconnect();
  }

  #reschedule(): void {
    // Commands would only pile up until Redis is back.
    if (this.#redis.status !== 'ready' && this.#redis.status !== 'wait') return;
    for (const { name, everyMs } of this.#jobs.values()) {
      this.#queue
        .upsertJobScheduler(
          name,
          { every: everyMs },
          {
            name,
            opts: { removeOnComplete: 10, removeOnFail: 100, attempts: 3, backoff: { type: 'fixed', delay: 5_000 } },
          },
        )
        .catch((error: unknown) => this.#log.warn({ err: error, job: name }, 'a job could not be scheduled'));
    }
  }

  async #run(name: string): Promise<object> {
    const job = this.#jobs.get(name);
    // Another version of this program has scheduled it, or its configuration asks for more.
    if (job === undefined) return { skipped: true };
    const result = await untilAborted(job.run, this.#stopping.signal);
    this.#log.info({ job: name, ...result }, 'job done');
    return result;
  }
}

/** Throws as soon as the signal says stop, however long the run takes to notice. */
async function untilAborted<T>(run: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  signal.addEventListener('abort', stop);
  try {
    return await Promise.race([run(signal), aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
