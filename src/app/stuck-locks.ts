import type { GroupTransaction, Lock, Submitted } from './batch-runner.ts';
import type { LockHolder } from './ports.ts';
import { type StuckLockCounts, StuckQueues, tellLocked } from './stuck-queues.ts';

/** A transaction that keeps a lock for so long is stuck. */
const STUCK_AFTER_MS = 100;

/** How long a batch waits for each lock. */
const LOCK_WAIT_MS = { least: 100, most: 1_000 };

/** How long a call is put back into batches that do not get their locks. */
const GIVE_UP_AFTER_MS = 2_000;

/** So many batches one after the other without their locks, and nothing found that is stuck: a whole table is locked. */
const TABLE_LOCKED_AFTER = 10;

type Holders = ReadonlyMap<string, LockHolder>;

/**
 * Keeps the calls that need a lock which another transaction does not give back, an
 * account's or an idempotency key's, away from all others.
 */
export class StuckLocks<Command, Outcome> {
  readonly #transaction: GroupTransaction<Command, Outcome>;
  readonly #putBack: (calls: readonly Submitted<Command, Outcome>[]) => void;
  readonly #maxCalls: number;
  readonly #queues: StuckQueues<Command, Outcome>;
  /** When the batch of a call did not get its locks for the first time. */
  readonly #contendedAtMs = new WeakMap<Submitted<Command, Outcome>, number>();
  readonly #tasks = new Set<Promise<void>>();
  /** Calls that are being sorted out. */
  #size = 0;
  /** Batches that did not get their locks though nothing was stuck, less those that got them. */
  #inVain = 0;

  /** putBack takes calls that may go with the others; up to maxCalls are kept here. */
  constructor(
    transaction: GroupTransaction<Command, Outcome>,
    putBack: (calls: readonly Submitted<Command, Outcome>[]) => void,
    maxCalls: number,
  ) {
    this.#transaction = transaction;
    this.#putBack = putBack;
    this.#maxCalls = maxCalls;
    this.#queues = new StuckQueues((locks) => transaction.keptLocks(locks), putBack, maxCalls);
  }

  get counts(): StuckLockCounts {
    return this.#queues.counts;
  }

  /** Whether any call is here. */
  get busy(): boolean {
    return this.#size > 0 || this.#queues.size > 0;
  }

  /**
   * How long a batch should wait for each lock. The longer, the later a stuck lock is
   * noticed; but where many replicas share busy accounts, their transactions queue for them.
   */
  get lockWaitMs(): number {
    return this.#tableLocked ? LOCK_WAIT_MS.least : Math.min(LOCK_WAIT_MS.least * 2 ** this.#inVain, LOCK_WAIT_MS.most);
  }

  /** Takes the calls that need a lock known to be stuck, and returns the others. */
  divert(calls: readonly Submitted<Command, Outcome>[]): readonly Submitted<Command, Outcome>[] {
    if (!this.#queues.any) return calls;
    return calls.filter((call) => !this.#queues.divert(call, this.#locksOf(call)));
  }

  /** A batch got its locks. */
  granted(): void {
    if (this.#inVain > 0) this.#inVain -= 1;
  }

  /** Finds out which calls of a batch that did not get its locks need a stuck one, and puts the others back. */
  sortOut(calls: readonly Submitted<Command, Outcome>[]): void {
    if (this.#tableLocked || this.#size + calls.length > this.#maxCalls) {
      tellLocked(calls);
      return;
    }
    this.#size += calls.length;
    const task = this.#sortOut(calls)
      .catch((error: unknown) => {
        for (const { reject } of calls) reject(error);
      })
      .finally(() => {
        this.#size -= calls.length;
        this.#tasks.delete(task);
      });
    this.#tasks.add(task);
  }

  /** Resolves when what was being sorted out is, and when no call waits any more. */
  async close(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    await this.#queues.close();
  }

  /** Takes the calls that wait for stuck locks. */
  takeWaiting(): Submitted<Command, Outcome>[] {
    return this.#queues.takeAll();
  }

  get #tableLocked(): boolean {
    return this.#inVain >= TABLE_LOCKED_AFTER;
  }

  async #sortOut(calls: readonly Submitted<Command, Outcome>[]): Promise<void> {
    const patient = this.#withPatience(calls);
    const before = await this.#keptLocks(patient);
    if (before === undefined) return;
    const { waiting = [], free = [] } = Object.groupBy(patient, (call) =>
      this.#locksOf(call).some(({ name }) => before.has(name)) ? 'waiting' : 'free',
    );
    if (waiting.length === 0) this.#inVain += 1;
    this.#putBack(free);
    if (waiting.length === 0) return;
    // A busy service's locks are kept most of the time, but by one transaction after the other.
    await new Promise((resume) => setTimeout(resume, STUCK_AFTER_MS));
    const now = await this.#keptLocks(waiting);
    if (now !== undefined) this.#setAside(waiting, before, now);
  }

  /** Tells those who have waited too long, and returns the others. */
  #withPatience(calls: readonly Submitted<Command, Outcome>[]): readonly Submitted<Command, Outcome>[] {
    const nowMs = performance.now();
    const { patient = [], late = [] } = Object.groupBy(calls, (call) => {
      const sinceMs = this.#contendedAtMs.get(call) ?? nowMs;
      this.#contendedAtMs.set(call, sinceMs);
      return nowMs - sinceMs < GIVE_UP_AFTER_MS ? 'patient' : 'late';
    });
    tellLocked(late);
    return patient;
  }

  /** Queues the calls that need what another transaction has kept all the time, and puts the others back. */
  #setAside(calls: readonly Submitted<Command, Outcome>[], before: Holders, now: Holders): void {
    const others: Submitted<Command, Outcome>[] = [];
    for (const call of calls) {
      const stuck = this.#locksOf(call).find(({ name }) => isStuck(before.get(name), now.get(name)));
      if (stuck === undefined) others.push(call);
      else this.#queues.add(call, stuck, now.get(stuck.name)!);
    }
    if (others.length === calls.length) this.#inVain += 1;
    this.#putBack(others);
  }

  /** Undefined if that cannot be found out; the calls are told so. */
  async #keptLocks(calls: readonly Submitted<Command, Outcome>[]): Promise<Holders | undefined> {
    try {
      return await this.#transaction.keptLocks(calls.flatMap((call) => this.#locksOf(call)));
    } catch (error) {
      for (const { reject } of calls) reject(error);
      return undefined;
    }
  }

  #locksOf({ item }: Submitted<Command, Outcome>): readonly Lock[] {
    return this.#transaction.locksOf(item.command);
  }
}

/** A transaction of our own may take long, but it ends. */
function isStuck(before: LockHolder | undefined, now: LockHolder | undefined): boolean {
  return now !== undefined && !now.ours && now.transactionId === before?.transactionId;
}
