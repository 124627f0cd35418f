import type { GroupTransaction, Lock, Submitted } from './batch-runner.ts';
import { unavailable } from './errors.ts';
import type { LockHolder } from './ports.ts';

/** How often stuck locks are looked at. */
const LOOK_EVERY_MS = 50;

/** How long a call waits for a stuck lock. */
const WAIT_MS = 1_000;

/** How long a stuck lock is kept an eye on without a call that needs it. */
const REMEMBERED_MS = 2_000;

interface StuckLock<Command, Outcome> {
  readonly lock: Lock;
  readonly holder: LockHolder;
  readonly waiting: { readonly call: Submitted<Command, Outcome>; readonly sinceMs: number }[];
  usedAtMs: number;
}

export interface StuckLockCounts {
  /** Since the start. */
  readonly found: number;
  /** Now. */
  readonly known: number;
  /** Calls that wait for them. */
  readonly waiting: number;
}

/**
 * The locks known to be stuck, and the calls that need them. The calls are in no
 * transaction, so they keep no lock from anybody: all stuck locks are looked at together
 * now and then, and once one is free its calls go with the others again.
 */
export class StuckQueues<Command, Outcome> {
  readonly #keptLocks: GroupTransaction<Command, Outcome>['keptLocks'];
  readonly #putBack: (calls: readonly Submitted<Command, Outcome>[]) => void;
  readonly #maxCalls: number;
  /** By the name of the lock. */
  readonly #stuck = new Map<string, StuckLock<Command, Outcome>>();
  #size = 0;
  #found = 0;
  #watching: Promise<void> | undefined;
  #closed = false;

  /** putBack takes calls that may go with the others. */
  constructor(
    keptLocks: GroupTransaction<Command, Outcome>['keptLocks'],
    putBack: (calls: readonly Submitted<Command, Outcome>[]) => void,
    maxCalls: number,
  ) {
    this.#keptLocks = keptLocks;
    this.#putBack = putBack;
    this.#maxCalls = maxCalls;
  }

  get counts(): StuckLockCounts {
    return { found: this.#found, known: this.#stuck.size, waiting: this.#size };
  }

  /** Calls that wait here. */
  get size(): number {
    return this.#size;
  }

  /** Whether any lock is known to be stuck. */
  get any(): boolean {
    return this.#stuck.size > 0;
  }

  /** Takes the call if it needs one of the locks known to be stuck. */
  divert(call: Submitted<Command, Outcome>, locks: readonly Lock[]): boolean {
    const stuck = locks.map(({ name }) => this.#stuck.get(name)).find((known) => known !== undefined);
    if (stuck !== undefined) this.#wait(stuck, call);
    return stuck !== undefined;
  }

  /** Takes a call whose lock is stuck. */
  add(call: Submitted<Command, Outcome>, lock: Lock, holder: LockHolder): void {
    let stuck = this.#stuck.get(lock.name);
    if (stuck === undefined) {
      stuck = { lock, holder, waiting: [], usedAtMs: performance.now() };
      this.#stuck.set(lock.name, stuck);
      this.#found += 1;
    }
    this.#wait(stuck, call);
  }

  /** Takes no more calls, and resolves when there are none. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#watching;
  }

  /** Takes all calls out. */
  takeAll(): Submitted<Command, Outcome>[] {
    return [...this.#stuck.values()].flatMap((stuck) => this.#take(stuck, () => true));
  }

  #wait(stuck: StuckLock<Command, Outcome>, call: Submitted<Command, Outcome>): void {
    if (this.#size >= this.#maxCalls) {
      tellLocked([call]);
      return;
    }
    const nowMs = performance.now();
    stuck.waiting.push({ call, sinceMs: nowMs });
    stuck.usedAtMs = nowMs;
    this.#size += 1;
    this.#watching ??= this.#watch();
  }

  /** Looks until no lock is known to be stuck, or until no call waits once this is closed. Never throws. */
  async #watch(): Promise<void> {
    while (this.#closed ? this.#size > 0 : this.#stuck.size > 0) {
      await new Promise((resume) => setTimeout(resume, LOOK_EVERY_MS));
      try {
        const kept = await this.#keptLocks([...this.#stuck.values()].map(({ lock }) => lock));
        for (const stuck of this.#stuck.values()) this.#look(stuck, kept.get(stuck.lock.name));
      } catch (error) {
        for (const { reject } of this.takeAll()) reject(error);
        this.#stuck.clear();
      }
    }
    this.#watching = undefined;
  }

  #look(stuck: StuckLock<Command, Outcome>, holder: LockHolder | undefined): void {
    const nowMs = performance.now();
    if (holder?.transactionId !== stuck.holder.transactionId) {
      this.#stuck.delete(stuck.lock.name);
      this.#putBack(this.#take(stuck, () => true));
      return;
    }
    tellLocked(this.#take(stuck, (sinceMs) => nowMs - sinceMs >= WAIT_MS));
    if (stuck.waiting.length === 0 && nowMs - stuck.usedAtMs >= REMEMBERED_MS) this.#stuck.delete(stuck.lock.name);
  }

  /** Those who came first are the first in the queue. */
  #take(stuck: StuckLock<Command, Outcome>, ripe: (sinceMs: number) => boolean): Submitted<Command, Outcome>[] {
    const unripe = stuck.waiting.findIndex(({ sinceMs }) => !ripe(sinceMs));
    const taken = stuck.waiting.splice(0, unripe === -1 ? stuck.waiting.length : unripe);
    this.#size -= taken.length;
    return taken.map(({ call }) => call);
  }
}

/** Ends calls that need a lock which another transaction keeps. */
export function tellLocked<Command, Outcome>(calls: readonly Submitted<Command, Outcome>[]): void {
  const message = 'An account or the idempotency key of this payment is locked by another transaction.';
  for (const { reject } of calls) reject(unavailable(message));
}
