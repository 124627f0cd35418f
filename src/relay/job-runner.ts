import { Queue, Worker } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { JobWatch } from './job-watch.ts';
import type { JobMetrics } from './metrics.ts';
import type { Logger } from './ports.ts';

/** Before all keys of BullMQ. On Redis Cluster, what is in braces keeps them in one slot, as its scripts need them. */
const PREFIX = '{payment-ledger}';

/** How long no job is asked for after Redis rejected a command, and how often that is logged. */
const REST_MS = 1_000;
const REJECTED_LOG_MS = 60_000;

/** A job that is done now and then by one of the workers. */
export interface Job {
  readonly name: string;
  readonly everyMs: number;
  /** Returns what to log. Once the signal says stop, nobody waits for it. */
  readonly run: (signal: AbortSignal) => Promise<object>;
}

export interface JobRunnerSettings {
  /** A connection of its own, whose commands wait for Redis; closed by stop. */
  readonly redis: Redis | Cluster;
  readonly queue: string;
  /** How often the schedules are written again, so that they survive a Redis that lost them, and overdue jobs are looked for. */
  readonly rescheduleMs: number;
}

/**
 * Runs jobs on BullMQ: each of them once in its time, however many workers there
 * are. It carries no event and no payment; while Redis is unreachable no job runs, and
 * those that are overdue for it are in the log and the metrics.
 */
export class JobRunner {
  readonly #jobs: ReadonlyMap<string, Job>;
  readonly #settings: JobRunnerSettings;
  readonly #log: Logger;
  readonly #redis: Redis | Cluster;
  readonly #queue: Queue;
  readonly #worker: Worker;
  readonly #watch: JobWatch;
  /** In Redis: when each job last succeeded, for the workers that did not do it. */
  readonly #successKey: string;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #rest: NodeJS.Timeout | undefined;
  #rejectedLoggedAt = Number.NEGATIVE_INFINITY;

  constructor(jobs: readonly Job[], settings: JobRunnerSettings, metrics: JobMetrics, log: Logger) {
    this.#jobs = new Map(jobs.map((job) => [job.name, job]));
    this.#settings = settings;
    this.#log = log;
    this.#redis = settings.redis;
    this.#watch = new JobWatch(jobs, metrics, log, Date.now());
    this.#successKey = `${settings.queue}:last-success`;
    this.#queue = new Queue(settings.queue, {
      connection: this.#redis,
      prefix: PREFIX,
      skipVersionCheck: true,
    });
    this.#worker = new Worker(settings.queue, (job) => this.#run(job.name), {
      connection: this.#redis,
      prefix: PREFIX,
      autorun: false,
      skipVersionCheck: true,
    });
    // The connection logs once that Redis is unreachable; BullMQ repeats it for each attempt.
    const repeated = (error: Error) => log.debug({ err: error }, 'no job can run without Redis');
    this.#queue.on('error', repeated);
    this.#worker.on('error', (error) => {
      repeated(error);
      if (error.name === 'ReplyError') this.#takeRest(error);
    });
    this.#worker.on('failed', (job, error) => {
      if (this.#stopping.signal.aborted) return log.info({ job: job?.name }, 'a job was given up');
      log.error({ err: error, job: job?.name }, 'a job failed');
      if (job !== undefined) this.#watch.failed(job.name);
    });
  }

  start(): void {
    this.#worker.run().catch((error: unknown) => this.#log.error({ err: error }, 'no more jobs are run'));
    this.#reschedule();
    this.#timer = setInterval(() => {
      this.#reschedule();
      void this.#learnSuccesses();
      this.#watch.check(Date.now());
    }, this.#settings.rescheduleMs);
  }

  /** A job that is being done is given up: another worker does it again. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#rest);
    this.#stopping.abort(new Error('The worker is stopping'));
    const reachable = this.#redis.status === 'ready';
    await this.#worker.close(!reachable);
    await this.#queue.close();
    this.#redis.disconnect();
  }

  /** Redis rejects a command, as it does from a user without the rights: BullMQ would repeat it at once, for ever. */
  #takeRest(error: Error): void {
    if (this.#worker.isPaused() || this.#stopping.signal.aborted) return;
    if (performance.now() - this.#rejectedLoggedAt >= REJECTED_LOG_MS) {
      this.#log.warn({ err: error }, 'Redis rejects what jobs need: no job is run until it does not');
      this.#rejectedLoggedAt = performance.now();
    }
    const failed = (cause: unknown) => this.#log.error({ err: cause }, 'no more jobs are run');
    this.#worker.pause(true).catch(failed);
    this.#rest = setTimeout(() => this.#worker.resume().catch(failed), REST_MS);
  }

  #reschedule(): void {
    // Commands would only pile up until Redis is reachable.
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
    await this.#noteSuccess(name);
    return result;
  }

  async #noteSuccess(name: string): Promise<void> {
    const atMs = Date.now();
    this.#watch.succeeded(name, atMs, atMs);
    try {
      await this.#redis.hset(this.#successKey, name, atMs);
    } catch (error) {
      // The job is done all the same; other workers learn of the next one.
      this.#log.warn({ err: error, job: name }, 'other workers could not be told that a job was done');
    }
  }

  async #learnSuccesses(): Promise<void> {
    if (this.#redis.status !== 'ready') return;
    try {
      const successes = await this.#redis.hgetall(this.#successKey);
      for (const [name, atMs] of Object.entries(successes)) this.#watch.succeeded(name, Number(atMs), Date.now());
    } catch (error) {
      this.#log.debug({ err: error }, 'which jobs other workers have done could not be read');
    }
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
