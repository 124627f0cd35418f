import type { BatchRunner, Submitted } from './batch-runner.ts';
import { batched } from './batcher.ts';
import { unavailable } from './errors.ts';

/** Transactions of calls that need stuck locks, at a time: the other connections are for everybody else. */
const SLOTS = 4;

/** How long the first transaction waits for a lock that is stuck, and how long those after it. */
const FIRST_LOCK_WAIT_MS = 1_000;
const NEXT_LOCK_WAIT_MS = 100;

/** How long a lock is taken for stuck after a transaction has waited for it in vain. */
const REMEMBERED_MS = 2_000;

/** Calls that wait for one lock, or for all those that one transaction keeps. */
interface StuckQueue<Command, Outcome> {
  readonly locks: Set<string>;
  readonly calls: Submitted<Command, Outcome>[];
  serving: boolean;
  /** Whether a transaction has waited for the lock in vain. */
  tried: boolean;
  forgetTimer?: NodeJS.Timeout;
}

interface Attempt<Command, Outcome> {
  readonly calls: readonly Submitted<Command, Outcome>[];
  readonly lockWaitMs: number;
}

/**
 * The locks known to be stuck, and the calls that need them. They get transactions of
 * their own, one at a time for each lock; once it is free they go with the others again.
 */
export class StuckQueues<Command, Outcome> {
  readonly #putBack: (calls: readonly Submitted<Command, Outcome>[]) => void;
  readonly #limits: { readonly maxBatch: number; readonly maxQueue: number };
  /** By each of their locks. */
  readonly #queues = new Map<string, StuckQueue<Command, Outcome>>();
  readonly #tasks = new Set<Promise<void>>();
  readonly #run: (attempt: Attempt<Command, Outcome>) => Promise<readonly Submitted<Command, Outcome>[]>;
  /** Calls whose transaction has not begun. */
  #size = 0;

  /** putBack takes calls that may go with the others. */
  constructor(
    runner: BatchRunner<Command, Outcome>,
    putBack: (calls: readonly Submitted<Command, Outcome>[]) => void,
    limits: { readonly maxBatch: number; readonly maxQueue: number },
  ) {
    this.#putBack = putBack;
    this.#limits = limits;
    this.#run = batched(
      (attempts) => Promise.all(attempts.map(({ calls, lockWaitMs }) => runner.run(calls, lockWaitMs))),
      { slots: SLOTS, maxBatch: 1 },
    );
  }

  /** Whether any lock is known to be stuck. */
  get any(): boolean {
    return this.#queues.size > 0;
  }

  /** Whether there are calls here. */
  get busy(): boolean {
    return this.#tasks.size > 0;
  }

  /** Runs calls in a transaction beside those of the queues. See BatchRunner.run. */
  tryApart(calls: readonly Submitted<Command, Outcome>[]): Promise<readonly Submitted<Command, Outcome>[]> {
    return this.#run({ calls, lockWaitMs: NEXT_LOCK_WAIT_MS });
  }

  /** Takes the call if one of these locks is known to be stuck. */
  divert(call: Submitted<Command, Outcome>, locks: readonly string[]): boolean {
    const queue = this.#find(locks);
    if (queue !== undefined) this.#enqueue(queue, call);
    return queue !== undefined;
  }

  /** Takes a call whose lock is stuck. Locks that are given together are taken to become free together. */
  add(call: Submitted<Command, Outcome>, locks: readonly string[]): void {
    const queue = this.#find(locks) ?? { locks: new Set(), calls: [], serving: false, tried: false };
    for (const lock of locks) {
      if (this.#queues.has(lock)) continue;
      queue.locks.add(lock);
      this.#queues.set(lock, queue);
    }
    this.#enqueue(queue, call);
  }

  /** Resolves when no transaction runs for calls of the queues. */
  async idle(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  /** Takes the calls whose transaction has not begun. */
  takeAll(): Submitted<Command, Outcome>[] {
    return [...new Set(this.#queues.values())].flatMap((queue) => this.#take(queue));
  }

  #enqueue(queue: StuckQueue<Command, Outcome>, call: Submitted<Command, Outcome>): void {
    if (this.#size >= this.#limits.maxQueue) {
      tellLocked([call]);
      return;
    }
    queue.calls.push(call);
    this.#size += 1;
    if (queue.serving) return;
    queue.serving = true;
    clearTimeout(queue.forgetTimer);
    const task = this.#serve(queue).finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
  }

  async #serve(queue: StuckQueue<Command, Outcome>): Promise<void> {
    while (queue.calls.length > 0) {
      const calls = this.#take(queue, this.#limits.maxBatch);
      const contended = await this.#run({ calls, lockWaitMs: queue.tried ? NEXT_LOCK_WAIT_MS : FIRST_LOCK_WAIT_MS });
      if (contended.length === 0) {
        this.#forget(queue);
        this.#putBack(this.#take(queue));
        return;
      }
      queue.tried = true;
      tellLocked(contended);
    }
    queue.serving = false;
    queue.forgetTimer = setTimeout(() => this.#forget(queue), REMEMBERED_MS).unref();
  }

  #take(queue: StuckQueue<Command, Outcome>, most = queue.calls.length): Submitted<Command, Outcome>[] {
    const calls = queue.calls.splice(0, most);
    this.#size -= calls.length;
    return calls;
  }

  #find(locks: readonly string[]): StuckQueue<Command, Outcome> | undefined {
    return locks.map((lock) => this.#queues.get(lock)).find((queue) => queue !== undefined);
  }

  #forget(queue: StuckQueue<Command, Outcome>): void {
    for (const lock of queue.locks) this.#queues.delete(lock);
  }
}

/** Ends calls that need a stuck lock. */
export function tellLocked<Command, Outcome>(calls: readonly Submitted<Command, Outcome>[]): void {
  const message = 'An account or the idempotency key of this payment is locked by another transaction.';
  for (const { reject } of calls) reject(unavailable(message));
}
