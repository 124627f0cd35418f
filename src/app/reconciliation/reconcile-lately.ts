import { type Books, type BooksProgress, beginning, examineRange, RANGE_SIZE } from './books.ts';
import { RangePace } from './range-pace.ts';

/** A reconciliation as recorded, finished or not. */
export interface RecordedReconciliation {
  readonly id: bigint;
  readonly whole: boolean;
  readonly startedAt: Date;
  /** Payments from then on are examined; undefined is all of them. */
  readonly since: Date | undefined;
  readonly progress: BooksProgress;
}

export interface LastReconciliation {
  /** When the last one that is finished began. */
  readonly startedAt: Date;
  /** What the last ones of whole and recent books found, finished or not. */
  readonly problems: number;
}

/** Reconciliations, past and begun. All its times are those of the database's clock. */
export interface ReconciliationHistory {
  now(): Promise<Date>;
  last(): Promise<LastReconciliation | undefined>;
  /** The latest of the whole or of the recent books that was not begun in the future. */
  latest(whole: boolean): Promise<RecordedReconciliation | undefined>;
  /** How many are recorded as begun in the future: a clock was wrong. */
  countFuture(): Promise<number>;
  begin(since: Date | undefined, progress: BooksProgress): Promise<RecordedReconciliation>;
  /** Records how far one has come. Throws if somebody else went on with it. */
  advance(reconciliation: RecordedReconciliation, progress: BooksProgress): Promise<void>;
}

export interface ReconciliationReport {
  readonly problems: readonly string[];
  readonly paymentsExamined: number;
  readonly finished: boolean;
}

export interface ReconciliationLimits {
  /** The most rows in one statement. */
  readonly rangeSize: number;
  /** What is not examined after that long is left to the next call. */
  readonly stopAfterMs: number;
}

/** Other jobs wait meanwhile. */
export const RECONCILIATION_LIMITS: ReconciliationLimits = { rangeSize: RANGE_SIZE, stopAfterMs: 20_000 };

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A payment's id has the time at which its call came in, by the clock of its replica; it commits later. */
const OVERLAP_MS = HOUR_MS;

/**
 * Reconciles what was paid since the last time, or goes on with it. It does not depend
 * on examinations of the whole books. Throws if Postgres is unreachable or the signal
 * says stop: what was examined is recorded.
 */
export async function reconcileRecent(
  books: Books,
  history: ReconciliationHistory,
  signal: AbortSignal,
  limits: ReconciliationLimits = RECONCILIATION_LIMITS,
): Promise<ReconciliationReport> {
  let current = await history.latest(false);
  if (current === undefined || current.progress.stage === undefined) {
    const since = await sinceWhen(history, current);
    current = await history.begin(since, beginning(books, since));
  }
  return goOn(books, history, current, signal, limits);
}

/**
 * Once a day begins to reconcile the whole books, at once again if the last time found
 * a problem, and goes on with it. Throws as reconcileRecent does.
 */
export async function reconcileWhole(
  books: Books,
  history: ReconciliationHistory,
  signal: AbortSignal,
  limits: ReconciliationLimits = RECONCILIATION_LIMITS,
): Promise<ReconciliationReport> {
  let current = await history.latest(true);
  if (current?.progress.stage === undefined) {
    const ageMs = current && (await history.now()).getTime() - current.startedAt.getTime();
    if (current && current.progress.problems.length === 0 && ageMs! < DAY_MS) {
      return { problems: await futureProblems(history), paymentsExamined: 0, finished: true };
    }
    current = await history.begin(undefined, beginning(books, undefined));
  }
  return goOn(books, history, current, signal, limits);
}

/** A problem that was found is looked for again until it is gone. */
async function sinceWhen(history: ReconciliationHistory, last: RecordedReconciliation | undefined): Promise<Date> {
  if (last?.since && last.progress.problems.length > 0) return last.since;
  return new Date((last?.startedAt ?? (await history.now())).getTime() - OVERLAP_MS);
}

async function goOn(
  books: Books,
  history: ReconciliationHistory,
  begun: RecordedReconciliation,
  signal: AbortSignal,
  { rangeSize, stopAfterMs }: ReconciliationLimits,
): Promise<ReconciliationReport> {
  const stopAt = performance.now() + stopAfterMs;
  const pace = new RangePace(rangeSize);
  let current = begun;
  while (current.progress.stage !== undefined) {
    signal.throwIfAborted();
    const progress = await examineRange(books, current.progress, current.whole, pace);
    await history.advance(current, progress);
    current = { ...current, progress };
    if (performance.now() >= stopAt) break;
  }
  const { problems, paymentsExamined, stage } = current.progress;
  return {
    problems: [...problems, ...(await futureProblems(history))],
    paymentsExamined,
    finished: stage === undefined,
  };
}

async function futureProblems(history: ReconciliationHistory): Promise<string[]> {
  const count = await history.countFuture();
  if (count === 0) return [];
  return [
    `${count} reconciliations are recorded as begun in the future and are ignored: the database's clock was wrong`,
  ];
}
