import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** A script of this folder in a process of its own, which answers each message with one. */
export class Child<Question extends object, Answer> {
  readonly #name: string;
  readonly #process: ChildProcess;

  constructor(script: 'bare-producer.ts' | 'consumer.ts', args: readonly string[]) {
    this.#name = script;
    this.#process = fork(join(import.meta.dirname, script), args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** Throws if the process ends instead of answering. */
  async ask(question: Question): Promise<Answer> {
    const done = new AbortController();
    const { signal } = done;
    try {
      this.#process.send(question);
      const answer = once(this.#process, 'message', { signal }).then(([message]) => message as Answer);
      const end = once(this.#process, 'exit', { signal }).then(([code]) => {
        throw new Error(`${this.#name} ended with ${code}`);
      });
      // Whichever comes second is given up below, and that is no news.
      end.catch(() => undefined);
      answer.catch(() => undefined);
      return await Promise.race([answer, end]);
    } finally {
      done.abort();
    }
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill();
    await exited;
  }
}

/** In the child: answers every question. Its failure ends the process. */
export function answering<Question, Answer>(answer: (question: Question) => Promise<Answer>): void {
  process.on('message', (question: Question) => {
    answer(question).then(
      (reply) => process.send!(reply),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
  process.on('disconnect', () => process.exit());
}
