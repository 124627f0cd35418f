import type { BatchRunner, GroupTransaction, Submitted } from './batch-runner.ts';
import type { LockHolder } from './ports.ts';
import { StuckQueues, tellLocked } from './stuck-queues.ts';

/** A transaction that keeps a lock for so long is stuck. */
const STUCK_AFTER_MS = 100;

/** How long a batch waits for each lock. */
const LOCK_WAIT_MS = { least: 100, most: 1_000 };

type Holders = ReadonlyMap<string, LockHolder>;

/**
 * Keeps the calls that need a lock which another transaction does not give back, an
 * account's or an idempotency key's, away from all others.
 */
export class StuckLocks<Command, Outcome> {
  readonly #transaction: GroupTransaction<Command, Outcome>;
  readonly #putBack: (calls: readonly Submitted<Command, Outcome>[]) => void;
  readonly #maxQueue: number;
  readonly #queues: StuckQueues<Command, Outcome>;
  /** Calls that were put back once although their batch did not get its locks. */
  readonly #doubtful = new WeakSet<Submitted<Command, Outcome>>();
  readonly #tasks = new Set<Promise<void>>();
  /** Calls that are being sorted out. */
  #size = 0;
  #lockWaitMs = LOCK_WAIT_MS.least;

  /** putBack takes calls that may go with the others. */
  constructor(
    transaction: GroupTransaction<Command, Outcome>,
    runner: BatchRunner<Command, Outcome>,
    putBack: (calls: readonly Submitted<Command, Outcome>[]) => void,
    limits: { readonly maxBatch: number; readonly maxQueue: number },
  ) {
    this.#transaction = transaction;
    this.#putBack = putBack;
    this.#maxQueue = limits.maxQueue;
    this.#queues = new StuckQueues(runner, putBack, limits);
  }

  /** Whether any call is here. */
  get busy(): boolean {
    return this.#tasks.size > 0 || this.#queues.busy;
  }

  /**
   * How long a batch should wait for each lock. The longer, the later a stuck lock is
   * noticed; but where many replicas share busy accounts, their transactions queue for them.
   */
  get lockWaitMs(): number {
    return this.#lockWaitMs;
  }

  /** Resolves when nothing is going on here. */
  async idle(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
    await this.#queues.idle();
  }

  /** Takes the calls whose transaction has not begun. */
  takeQueues(): Submitted<Command, Outcome>[] {
    return this.#queues.takeAll();
  }

  /** Takes the calls that need a lock known to be stuck, and returns the others. */
  divert(calls: readonly Submitted<Command, Outcome>[]): readonly Submitted<Command, Outcome>[] {
    if (!this.#queues.any) return calls;
    return calls.filter(
      (call) => !this.#queues.divert(call, [keyLock(this.#keyOf(call)), ...this.#accountsOf(call).map(accountLock)]),
    );
  }

  /** Finds out which calls of a batch that did not get its locks need a stuck one, and puts the others back. */
  sortOut(calls: readonly Submitted<Command, Outcome>[]): void {
    // So many only if somebody keeps a whole table locked, or everybody's accounts.
    if (this.#size + calls.length > this.#maxQueue) {
      tellLocked(calls);
      return;
    }
    this.#size += calls.length;
    const task = this.#sortOut(calls).then((stuck) => {
      this.#lockWaitMs = stuck > 0 ? LOCK_WAIT_MS.least : Math.min(2 * this.#lockWaitMs, LOCK_WAIT_MS.most);
      this.#size -= calls.length;
      this.#tasks.delete(task);
    });
    this.#tasks.add(task);
  }

  /** Returns how many calls need a stuck lock. */
  async #sortOut(calls: readonly Submitted<Command, Outcome>[]): Promise<number> {
    const before = await this.#lockHolders(new Set(calls.flatMap((call) => this.#accountsOf(call))), calls);
    if (before === undefined) return 0;
    // No account is locked: it is a key, or the lock has gone meanwhile.
    if (before.size === 0) return this.#isolate(calls);

    const { waiting = [], free = [] } = Object.groupBy(calls, (call) =>
      this.#accountsOf(call).some((account) => before.has(account)) ? 'waiting' : 'free',
    );
    const unclear = this.#putBackOnce(free);

    // A busy service's accounts are locked most of the time, but by one transaction after the other.
    await new Promise((resume) => setTimeout(resume, STUCK_AFTER_MS));
    const now = await this.#lockHolders(before.keys(), waiting);
    if (now === undefined) return this.#isolate(unclear);
    const { stuck, released } = this.#setAside(waiting, before, now);
    return stuck + (await this.#isolate([...unclear, ...this.#putBackOnce(released)]));
  }

  /** Queues the calls whose accounts one transaction has kept all the time. */
  #setAside(calls: readonly Submitted<Command, Outcome>[], before: Holders, now: Holders) {
    const released: Submitted<Command, Outcome>[] = [];
    const slow: Submitted<Command, Outcome>[] = [];
    for (const call of calls) {
      const kept = this.#accountsOf(call).filter((account) => isKept(account, before, now));
      const stuck = kept.find((account) => !now.get(account)!.ours);
      if (stuck !== undefined) this.#queues.add(call, [holderLock(now.get(stuck)!), accountLock(stuck)]);
      else if (kept.length > 0) slow.push(call);
      else released.push(call);
    }
    // A transaction of our own takes long, but it ends.
    this.#putBack(slow);
    return { stuck: calls.length - slow.length - released.length, released };
  }

  /** Puts the calls back that were not yet, and returns the others. */
  #putBackOnce(calls: readonly Submitted<Command, Outcome>[]): Submitted<Command, Outcome>[] {
    const again = calls.filter((call) => this.#doubtful.has(call));
    const first = calls.filter((call) => !this.#doubtful.has(call));
    for (const call of first) this.#doubtful.add(call);
    this.#putBack(first);
    return again;
  }

  /** Halves the batch until those that do not get their locks are alone, and queues them. Returns how many. */
  async #isolate(calls: readonly Submitted<Command, Outcome>[]): Promise<number> {
    if (calls.length <= 1) {
      for (const call of calls) this.#queues.add(call, [keyLock(this.#keyOf(call))]);
      return calls.length;
    }
    const middle = Math.ceil(calls.length / 2);
    const halves = [calls.slice(0, middle), calls.slice(middle)];
    const stuck = await Promise.all(halves.map(async (half) => this.#isolate(await this.#queues.tryApart(half))));
    return stuck.reduce((sum, count) => sum + count, 0);
  }

  /** Undefined if that cannot be found out; the calls are told so. */
  async #lockHolders(
    accounts: Iterable<string>,
    calls: readonly Submitted<Command, Outcome>[],
  ): Promise<Holders | undefined> {
    try {
      return await this.#transaction.lockHolders([...accounts]);
    } catch (error) {
      for (const { reject } of calls) reject(error);
      return undefined;
    }
  }

  #accountsOf({ item }: Submitted<Command, Outcome>): readonly string[] {
    return this.#transaction.accountsOf(item.command);
  }

  #keyOf({ item }: Submitted<Command, Outcome>): string {
    return this.#transaction.keyOf(item.command);
  }
}

const keyLock = (key: string) => `key ${key}`;
const accountLock = (accountId: string) => `account ${accountId}`;
/** All that a transaction keeps becomes free together. */
const holderLock = ({ transactionId }: LockHolder) => `transaction ${transactionId}`;

function isKept(accountId: string, before: Holders, now: Holders): boolean {
  const holder = now.get(accountId);
  return holder !== undefined && holder.transactionId === before.get(accountId)?.transactionId;
}
