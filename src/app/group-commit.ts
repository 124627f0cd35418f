import { BatchRunner, type GroupTransaction, type Submission, type Submitted } from './batch-runner.ts';
import { Batcher } from './batcher.ts';
import { ServiceError, unavailable } from './errors.ts';
import { StuckLocks } from './stuck-locks.ts';
import type { StuckLockCounts } from './stuck-queues.ts';

export interface GroupCommitLimits {
  /** The most commands in one transaction; one that counts as more has it to itself. */
  readonly maxBatch: number;
  /** The most commands that wait for a transaction, and the most that wait for locks that are stuck. */
  readonly maxQueue: number;
}

/**
 * With a second transaction in flight, the next batch makes its keys and locks ready
 * while Postgres writes the one before, and neither waits for the other.
 */
const SLOTS = { slots: 2, secondSlotFrom: 32 };

/**
 * Coalesces concurrent commands into one transaction: those that arrive while a
 * transaction is in flight form the next one. There is no timer: a lone command
 * starts at once, and a busy service shares each commit among many. A busy service
 * also begins the next transaction before the last one has ended.
 */
export class GroupCommit<Command, Outcome> {
  readonly #limits: GroupCommitLimits;
  readonly #waited: (waitMs: number) => void;
  readonly #runner: BatchRunner<Command, Outcome>;
  readonly #batcher: Batcher<Submission<Command>, Outcome>;
  readonly #stuck: StuckLocks<Command, Outcome>;
  #closed = false;
  #abandoned = false;

  /** waited is told how long each command waited for its transaction, in milliseconds. */
  constructor(
    transaction: GroupTransaction<Command, Outcome>,
    limits: GroupCommitLimits,
    waited: (waitMs: number) => void = () => undefined,
  ) {
    this.#limits = limits;
    this.#waited = waited;
    this.#runner = new BatchRunner(transaction);
    const { maxBatch } = limits;
    const weightOf = ({ command }: Submission<Command>) => transaction.weightOf?.(command) ?? 1;
    this.#batcher = new Batcher((batch) => this.#run(batch), { ...SLOTS, maxBatch, weightOf });
    this.#stuck = new StuckLocks(transaction, (calls) => this.#putBack(calls), limits.maxQueue);
  }

  /** Commands whose transaction has not begun, but for those that need stuck locks. */
  get queued(): number {
    return this.#batcher.queued;
  }

  get stuckLocks(): StuckLockCounts {
    return this.#stuck.counts;
  }

  /**
   * Resolves when the command's transaction has committed. deadlineMs is when the caller
   * will have gone, by Date.now(): its transaction gets no more time than the last of
   * its callers has.
   *
   * Throws ServiceError: OVERLOADED if the queue is full; ABANDONED if the caller
   * was gone before the transaction began; UNAVAILABLE after close, if a lock stays
   * with another transaction, or when the transaction kept failing. After UNAVAILABLE
   * it may yet have committed.
   */
  submit(command: Command, abandoned: () => boolean, deadlineMs = Number.POSITIVE_INFINITY): Promise<Outcome> {
    if (this.#closed) return Promise.reject(unavailable('The service is shutting down.'));
    if (this.#batcher.queued >= this.#limits.maxQueue) {
      const message = `${this.#limits.maxQueue} payments are waiting already.`;
      return Promise.reject(new ServiceError({ kind: 'OVERLOADED', retryAfterMs: 100 }, message));
    }
    return this.#batcher.submit({ command, abandoned, deadlineMs, submittedAtMs: performance.now() });
  }

  /** Takes no more commands; resolves when those taken have their outcomes. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#batcher.busy || this.#stuck.busy) {
      await this.#batcher.idle();
      await this.#stuck.close();
    }
    await this.#runner.answered();
  }

  /** Turns away the commands whose transaction has not begun, after close: there is no time left for them. */
  abandonQueue(): void {
    this.#abandoned = true;
    turnAway([...this.#batcher.takeQueue(), ...this.#stuck.takeWaiting()]);
  }

  async #run(batch: readonly Submitted<Command, Outcome>[]): Promise<void> {
    const calls = this.#stuck.divert(batch);
    const nowMs = performance.now();
    for (const { item } of calls) this.#waited(nowMs - item.submittedAtMs);
    const contended = await this.#runner.run(calls, this.#stuck.lockWaitMs);
    if (contended.length === 0) this.#stuck.granted();
    // Not awaited: the slot is free for the next batch.
    else this.#stuck.sortOut(contended);
  }

  #putBack(calls: readonly Submitted<Command, Outcome>[]): void {
    if (this.#abandoned) turnAway(calls);
    else this.#batcher.putBack(calls);
  }
}

function turnAway<Command, Outcome>(calls: readonly Submitted<Command, Outcome>[]): void {
  for (const { reject } of calls) reject(unavailable('The service is shutting down.'));
}
