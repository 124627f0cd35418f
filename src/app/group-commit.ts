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

/**
 * Transactions in flight at a time. With a second one, the next batch makes its keys
 * and locks ready while Postgres writes the one before, and neither waits for the other.
 */
const LANES = 2;

/** A second transaction begins only for so many commands: below that, sharing the next commit costs less. */
const SECOND_LANE_FROM = 32;

/** Callers who get their outcomes in one turn of the event loop: answering takes longer than a reply of Postgres may wait. */
const ANSWERS_PER_TURN = 32;

/** Waits before a transaction that failed for no fault of its own is run again, in milliseconds. */
const RETRY_DELAYS_MS = [5, 50, 250];

/**
 * Coalesces concurrent commands into one transaction: those that arrive while a
 * transaction is in flight form the next one. There is no timer: a lone command
 * starts at once, and a busy service shares each commit among many. A busy service
 * also begins the next transaction before the last one has ended.
 */
export class GroupCommit<Command, Outcome> {
  readonly #execute: (commands: readonly Command[]) => Promise<readonly Outcome[]>;
  readonly #limits: GroupCommitLimits;
  readonly #queue: Waiting<Command, Outcome>[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  readonly #answering = new Set<Promise<void>>();
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
      this.#begin();
    });
  }

  /** Takes no more commands; resolves when those taken have their outcomes. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight);
    await Promise.all(this.#answering);
  }

  /** Turns away the commands whose transaction has not begun, after close: there is no time left for them. */
  abandonQueue(): void {
    for (const { reject } of this.#queue.splice(0)) reject(unavailable('The service is shutting down.'));
  }

  #begin(): void {
    while (this.#mayBegin()) {
      const batch = this.#queue.splice(0, this.#limits.maxBatch);
      const commit = this.#commit(batch).finally(() => {
        this.#inFlight.delete(commit);
        this.#begin();
      });
      this.#inFlight.add(commit);
    }
  }

  #mayBegin(): boolean {
    const lanes = this.#inFlight.size;
    return this.#queue.length >= (lanes === 0 ? 1 : SECOND_LANE_FROM) && lanes < LANES;
  }

  /** Settles every caller of the batch, one way or the other; never throws. */
  async #commit(batch: readonly Waiting<Command, Outcome>[]): Promise<void> {
    const present = batch.filter((waiting) => !dismissed(waiting));
    if (present.length === 0) return;
    try {
      const outcomes = await this.#executeWithRetries(present.map(({ command }) => command));
      const answered = answer(present, outcomes).then(() => {
        this.#answering.delete(answered);
      });
      this.#answering.add(answered);
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

/** Gives the callers their outcomes, a slice at a time: the next transaction does not wait for all of them. */
async function answer<Command, Outcome>(
  callers: readonly Waiting<Command, Outcome>[],
  outcomes: readonly Outcome[],
): Promise<void> {
  for (let first = 0; first < callers.length; first += ANSWERS_PER_TURN) {
    await new Promise((resume) => setImmediate(resume));
    const end = Math.min(first + ANSWERS_PER_TURN, callers.length);
    for (let i = first; i < end; i++) callers[i]!.resolve(outcomes[i]!);
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
