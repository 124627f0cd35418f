import { type Books, type ReconciliationReport, reconcile } from './books.ts';

export interface LastReconciliation {
  readonly startedAt: Date;
  /** When the last one of the whole books began. */
  readonly wholeStartedAt: Date | undefined;
  /** How many it found. */
  readonly problems: number;
}

/** Reconciliations of the past. */
export interface ReconciliationHistory {
  last(): Promise<LastReconciliation | undefined>;
  record(startedAt: Date, since: Date | undefined, report: ReconciliationReport): Promise<void>;
}

export interface IdempotencyKeys {
  /** Deletes up to limit keys that were first used before then, in a transaction of its own. Returns how many. */
  expire(before: Date, limit: number): Promise<number>;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A payment's id has the time at which its call came in, by the clock of its replica; it commits later. */
const OVERLAP_MS = HOUR_MS;

/**
 * Reconciles what was paid since the last time, and once a day the whole books.
 * Throws if Postgres cannot be had.
 */
export async function reconcileLately(
  books: Books,
  history: ReconciliationHistory,
  now: Date,
): Promise<ReconciliationReport> {
  const last = await history.last();
  const since = last && sinceWhen(last, now);
  const report = await reconcile(books, since);
  await history.record(now, since, report);
  return report;
}

/** Undefined is the whole books. A problem that was found is looked for again until it is gone. */
function sinceWhen({ startedAt, wholeStartedAt, problems }: LastReconciliation, now: Date): Date | undefined {
  if (problems > 0 || wholeStartedAt === undefined) return undefined;
  if (now.getTime() - wholeStartedAt.getTime() >= DAY_MS) return undefined;
  return new Date(startedAt.getTime() - OVERLAP_MS);
}

/** Few enough that the locks of one transaction are held for milliseconds. */
const KEYS_AT_A_TIME = 5_000;

/**
 * Forgets idempotency keys after the retention: a call that repeats one later is a new
 * payment. Returns how many. Throws if Postgres cannot be had.
 */
export async function expireKeys(keys: IdempotencyKeys, retentionDays: number, now: Date): Promise<number> {
  const before = new Date(now.getTime() - retentionDays * DAY_MS);
  let expired = 0;
  for (;;) {
    const count = await keys.expire(before, KEYS_AT_A_TIME);
    expired += count;
    if (count < KEYS_AT_A_TIME) return expired;
  }
}
