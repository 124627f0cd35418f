import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Job, Report, Result } from './load/job.ts';

export interface LoadObserver {
  /** The measured time has begun. */
  readonly began?: () => void;
  /** A span of job.intervalMs is over; not called for the last one. */
  readonly interval?: (result: Result) => void;
}

/** A process that makes calls, apart from the one that takes the time of everything. */
export class LoadProcess {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = fork(join(import.meta.dirname, 'load/main.ts'), {
      // Its latencies must not contain its own garbage collections any longer than need be.
      execArgv: ['--max-semi-space-size=32'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Does the job and returns what was measured in its last span, or in all of it. Throws if a server stopped. */
  async run(job: Job, { began, interval }: LoadObserver = {}): Promise<Result> {
    return new Promise((resolve, reject) => {
      const end = (finish: () => void) => {
        this.#child.off('message', onReport);
        this.#child.off('exit', onExit);
        finish();
      };
      const onExit = (code: number | null) => end(() => reject(new Error(`The load process ended with ${code}`)));
      const onReport = (report: Report) => {
        if (report.kind === 'began') began?.();
        else if (report.kind === 'interval') interval?.(report.result);
        else if (report.kind === 'ended') end(() => resolve(report.result));
        else end(() => reject(new Error(`The load failed: ${report.message}`)));
      };
      this.#child.on('message', onReport);
      this.#child.on('exit', onExit);
      this.#child.send(job);
    });
  }

  /** Ends it; resolves when it is gone. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    if (this.#child.connected) this.#child.disconnect();
    else this.#child.kill();
    await exited;
  }
}
