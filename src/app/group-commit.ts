import { ContendedError, ServiceError, TransientError, unavailable } from './errors.ts';

export interface GroupCommitLimits {
  /** The most commands in one transaction. */
  readonly maxBatch: number;
  /** The most commands that wait for a transaction. */
  readonly maxQueue: number;
}

interface Waiting<Command, Outcome> {
  readonly command: Command;
  /** Whether the caller has gone: cancelled, or past its deadline. */
  readonly abandoned: () => boolean;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

/** Waits before a transaction that failed for no fault of its own is run again, in milliseconds. */
const RETRY_DELAYS_MS = [5, 50, 250];

/**
 * Coalesces concurrent commands into one transaction: those that arrive while a
 * transaction is in flight form the next one. There is no timer: a lone command
 * starts at once, and a busy service shares each commit among many.
 */
export class GroupCommit<Command, Outcome> {
  readonly #execute: (commands: readonly Command[]) => Promise<readonly Outcome[]>;
  readonly #limits: GroupCommitLimits;
  readonly #queue: Waiting<Command, Outcome>[] = [];
  #draining: Promise<void> | undefined;
  #closed = false;

  /** execute runs commands in one transaction and returns their outcomes in the same order. */
  constructor(execute: (commands: readonly Command[]) => Promise<readonly Outcome[]>, limits: GroupCommitLimits) {
    this.#execute = execute;
    this.#limits = limits;
  }

  /**
   * Resolves when the command's transaction has committed.
   *
   * Throws ServiceError: OVERLOADED if the queue is full; ABANDONED if the caller
   * was gone before the transaction began; UNAVAILABLE after close, or when the
   * transaction kept failing. After UNAVAILABLE it may yet have committed.
   */
  submit(command: Command, abandoned: () => boolean): Promise<Outcome> {
    if (this.#closed) return Promise.reject(unavailable('The service is shutting down.'));
    if (this.#queue.length >= this.#limits.maxQueue) {
      const message = `${this.#limits.maxQueue} payments are waiting already.`;
      return Promise.reject(new ServiceError({ kind: 'OVERLOADED', retryAfterMs: 100 }, message));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ command, abandoned, resolve, reject });
      this.#draining ??= this.#drain();
    });
  }

  /** Takes no more commands; resolves when those taken have their outcomes. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#draining;
  }

  /** Turns away the commands whose transaction has not begun, after close: there is no time left for them. */
  abandonQueue(): void {
    for (const { reject } of this.#queue.splice(0)) reject(unavailable('The service is shutting down.'));
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) await this.#commit(this.#queue.splice(0, this.#limits.maxBatch));
    this.#draining = undefined;
  }

  /** Settles every caller of the batch, one way or the other; never throws. */
  async #commit(batch: readonly Waiting<Command, Outcome>[]): Promise<void> {
    const present = batch.filter((waiting) => !dismissed(waiting));
    if (present.length === 0) return;
    try {
      const outcomes = await this.#executeWithRetries(present.map(({ command }) => command));
      present.forEach(({ resolve }, index) => {
        resolve(outcomes[index]!);
      });
    } catch (error) {
      // One bad command must not fail its neighbours, so each gets a transaction of
      // its own; without a database there is no use in asking one by one.
      if (present.length === 1 || isUnavailable(error)) for (const { reject } of present) reject(error);
      else for (const waiting of present) await this.#commit([waiting]);
    }
  }

  async #executeWithRetries(commands: readonly Command[]): Promise<readonly Outcome[]> {
    for (const delayMs of RETRY_DELAYS_MS) {
      try {
        return await this.#execute(commands);
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        // Jitter keeps replicas that collided from colliding again.
        await new Promise((resume) => setTimeout(resume, delayMs * (0.5 + Math.random())));
      }
    }
    try {
      return await this.#execute(commands);
    } catch (error) {
      throw error instanceof TransientError ? unavailable('The database keeps failing.', error) : error;
    }
  }
}

/** Turns away a caller that has gone. Only before its transaction begins: afterwards it may have paid. */
function dismissed<Command, Outcome>({ abandoned, reject }: Waiting<Command, Outcome>): boolean {
  if (!abandoned()) return false;
  reject(new ServiceError({ kind: 'ABANDONED' }, 'The call ended before its payment was begun.'));
  return true;
}

function isUnavailable(error: unknown): boolean {
  if (error instanceof ContendedError) return false;
  return error instanceof ServiceError && error.problem.kind === 'UNAVAILABLE';
}
