import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { type Blocker, blockersOf, described } from './lock-blockers.ts';

/** How a migration asks for locks that payments need as well. */
export interface LockPatience {
  /** One attempt waits no longer, as whoever comes after it waits behind it. Payments bear 100 ms without a word. */
  readonly attemptMs: number;
  /** From one attempt to the next, for the payments that waited. */
  readonly pauseMs: number;
  readonly giveUpMs: number;
}

const PATIENCE: LockPatience = { attemptMs: 50, pauseMs: 500, giveUpMs: 120_000 };

/** Often enough to see who keeps the lock while an attempt waits for it. */
const LOOK_EVERY_MS = 10;
const LOOK_EVERY_MS_AT_LEISURE = 1_000;
const TELL_EVERY_MS = 10_000;

/** A deadlock with payments is given up by either side. */
const LOCK_NOT_AVAILABLE = '55P03';
const DEADLOCK_DETECTED = '40P01';

/**
 * Has the statements of a migration wait for locks without keeping payments waiting. A
 * statement that queues for a lock has everybody behind it wait as long as it does itself,
 * if only for somebody's forgotten transaction.
 */
export class TableLocks {
  readonly #client: pg.Client;
  /** A connection of its own, to see what the client's waits for. */
  readonly #watcher: pg.Client;
  readonly #onProgress: (message: string) => void;
  readonly #patience: LockPatience;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(
    client: pg.Client,
    watcher: pg.Client,
    onProgress: (message: string) => void,
    patience: LockPatience = PATIENCE,
  ) {
    this.#client = client;
    this.#watcher = watcher;
    this.#onProgress = onProgress;
    this.#patience = patience;
  }

  /**
   * Runs the work, all of it again each time that it does not get a lock at once; what it did
   * must then be undone. Throws an error that names who keeps the lock once patience is at its end.
   */
  async briefly(what: string, work: () => Promise<void>): Promise<void> {
    const { attemptMs, pauseMs, giveUpMs } = this.#patience;
    const giveUpAt = Date.now() + giveUpMs;
    let keeper: Blocker | undefined;
    for (;;) {
      await this.#client.query(`set lock_timeout = ${attemptMs}`);
      const { error, blocker } = await this.#watched(work, LOOK_EVERY_MS);
      if (error === undefined) return;
      if (!isLockFailure(error)) throw error;
      keeper = blocker ?? keeper;
      const who = keeper === undefined ? 'others keep a lock that it needs' : described(keeper);
      if (Date.now() >= giveUpAt) {
        throw new Error(
          `${who}; no attempt in ${giveUpMs / 1_000} s got it within ${attemptMs} ms, and longer ones would keep ` +
            'payments waiting. End that session or let it end, then migrate again.',
          { cause: error },
        );
      }
      // Whoever kept it for too short a time to be seen is hardly there any longer.
      if (blocker !== undefined) this.#tell(`${what} waits: ${who}; payments go on`);
      if (blocker?.asideOf === undefined) await pause(pauseMs);
      else await this.#waitAside(blocker.asideOf, giveUpAt);
    }
  }

  /** Runs work whose waiting keeps nobody from paying, for as long as it takes. */
  async atLeisure(what: string, work: () => Promise<void>): Promise<void> {
    await this.#client.query('set lock_timeout = 0');
    const { error } = await this.#watched(work, LOOK_EVERY_MS_AT_LEISURE, (blocker) =>
      this.#tell(`${what} waits: ${described(blocker)}; payments go on`),
    );
    if (error !== undefined) throw error;
  }

  /** The error of the work, if it failed, and who was last seen to keep a lock from it. */
  async #watched(work: () => Promise<void>, everyMs: number, onBlocked?: (blocker: Blocker) => void) {
    const done = new AbortController();
    const outcome = work()
      .then(
        () => undefined,
        (error: Error) => error,
      )
      .finally(() => done.abort());
    let blocker: Blocker | undefined;
    while (!done.signal.aborted) {
      const [seen] = await blockersOf(this.#watcher, this.#client);
      if (seen !== undefined) onBlocked?.(seen);
      blocker = seen ?? blocker;
      await Promise.race([outcome, pause(everyMs)]);
    }
    return { error: await outcome, blocker };
  }

  /**
   * Waits in the queue of vacuums, where no payment waits behind. An autovacuum gives way to
   * whoever waits for a second, which no attempt does.
   */
  async #waitAside(table: string, giveUpAt: number): Promise<void> {
    await this.#client.query('begin');
    try {
      await this.#client.query(`set local lock_timeout = ${Math.max(1, giveUpAt - Date.now())}`);
      await this.#client.query(`lock table ${table} in share update exclusive mode`);
    } catch (error) {
      if (!isLockFailure(error)) throw error;
    } finally {
      await this.#client.query('rollback');
    }
  }

  #tell(message: string): void {
    if (Date.now() - this.#toldAt < TELL_EVERY_MS) return;
    this.#toldAt = Date.now();
    this.#onProgress(message);
  }
}

function isLockFailure(error: unknown): boolean {
  return error instanceof pg.DatabaseError && [LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED].includes(error.code ?? '');
}
