import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Abuse, Order, Outcomes, Report } from './abuse/abuse.ts';

/** A process that abuses the service, apart from the one that measures what it does to others. */
export class AbuseProcess {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = fork(join(import.meta.dirname, 'abuse/main.ts'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  }

  /** Resolves when it is under way. */
  async begin(address: string, abuse: Abuse): Promise<void> {
    await this.#order({ kind: 'start', address, abuse });
  }

  /** Ends it; returns how its calls ended. */
  async end(): Promise<Outcomes> {
    const report = await this.#order({ kind: 'stop' });
    return report.kind === 'ended' ? report.outcomes : {};
  }

  /** Ends the process; resolves when it is gone. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    if (this.#child.connected) this.#child.disconnect();
    else this.#child.kill();
    await exited;
  }

  async #order(order: Order): Promise<Report> {
    const answered = new AbortController();
    const { signal } = answered;
    try {
      const report = Promise.race([
        once(this.#child, 'message', { signal }).then(([message]) => message as Report),
        once(this.#child, 'exit', { signal }).then(([code]): Report => {
          return { kind: 'failed', message: `it ended with ${code}` };
        }),
      ]);
      this.#child.send(order);
      const said = await report;
      if (said.kind === 'failed') throw new Error(`The abuse failed: ${said.message}`);
      return said;
    } finally {
      answered.abort();
    }
  }
}
