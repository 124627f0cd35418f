import type { JobMetrics } from './metrics.ts';
import type { Logger } from './ports.ts';

/** A job that has not succeeded for so many of its intervals is overdue. */
const OVERDUE_INTERVALS = 3;
/** How far the clocks of workers may differ; a later time is a wrong clock's, and would hide that a job is overdue. */
const CLOCK_TOLERANCE_MS = 60_000;

interface WatchedJob {
  readonly name: string;
  readonly everyMs: number;
}

/**
 * Knows when each job last succeeded, on any worker, and says once when one is overdue
 * and once when it is not any more. All times are milliseconds since 1970.
 */
export class JobWatch {
  readonly #jobs: readonly WatchedJob[];
  readonly #metrics: JobMetrics;
  readonly #log: Logger;
  readonly #startedAtMs: number;
  readonly #succeededAtMs = new Map<string, number>();
  readonly #overdue = new Set<string>();

  constructor(jobs: readonly WatchedJob[], metrics: JobMetrics, log: Logger, startedAtMs: number) {
    this.#jobs = jobs;
    this.#metrics = metrics;
    this.#log = log;
    this.#startedAtMs = startedAtMs;
    for (const { name } of jobs) {
      metrics.failures.inc({ job_name: name }, 0);
      metrics.overdue.set({ job_name: name }, 0);
    }
  }

  /** The latest time counts, unless it lies in the future; jobs that this worker does not have are left out. */
  succeeded(name: string, atMs: number, nowMs: number): void {
    if (!this.#jobs.some((job) => job.name === name)) return;
    if (atMs <= (this.#succeededAtMs.get(name) ?? 0) || atMs > nowMs + CLOCK_TOLERANCE_MS) return;
    this.#succeededAtMs.set(name, atMs);
    this.#metrics.lastSuccess.set({ job_name: name }, atMs / 1_000);
  }

  failed(name: string): void {
    this.#metrics.failures.inc({ job_name: name });
  }

  check(nowMs: number): void {
    for (const { name, everyMs } of this.#jobs) {
      const succeededAtMs = this.#succeededAtMs.get(name);
      // What happened while no worker was up is nobody's fault.
      const sinceMs = nowMs - Math.max(this.#startedAtMs, succeededAtMs ?? 0);
      const overdue = sinceMs > OVERDUE_INTERVALS * everyMs;
      this.#metrics.overdue.set({ job_name: name }, overdue ? 1 : 0);
      if (overdue === this.#overdue.has(name)) continue;
      const fields = { job: name, everyMs, lastSuccess: succeededAtMs && new Date(succeededAtMs) };
      if (overdue) {
        this.#overdue.add(name);
        this.#log.warn(fields, 'a job is overdue: no worker has done it for three of its intervals');
      } else {
        this.#overdue.delete(name);
        this.#log.info(fields, 'a job that was overdue is done again');
      }
    }
  }
}
