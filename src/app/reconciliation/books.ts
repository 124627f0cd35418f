import { RangePace } from './range-pace.ts';

/** A rule of the books that Postgres can show to be broken. */
export type BooksRule = keyof typeof BROKEN;

/** What is examined one after the other, each in ranges of its own key. */
export type BooksStage =
  | 'PAYMENTS'
  | 'ACCOUNTS'
  | 'BALANCES'
  | 'PAYMENT_BALANCES'
  | 'ENTRIES'
  | 'KEYS'
  | 'OUTBOX'
  | 'BLOCKED'
  | 'DEAD_LETTERS'
  | 'CURRENCIES';

const WHOLE: readonly BooksStage[] = [
  'PAYMENTS',
  'ACCOUNTS',
  'BALANCES',
  'PAYMENT_BALANCES',
  'ENTRIES',
  'KEYS',
  'OUTBOX',
  'BLOCKED',
  'DEAD_LETTERS',
  'CURRENCIES',
];
// The entries of a new payment are reached from the payment.
const RECENT: readonly BooksStage[] = ['PAYMENTS', 'BALANCES', 'OUTBOX', 'BLOCKED', 'DEAD_LETTERS', 'CURRENCIES'];

export interface CurrencySum {
  readonly currency: string;
  /** All balances of the currency together, in minor units: zero, or the books are wrong. */
  readonly sumCents: bigint;
}

export interface Finding {
  readonly rule: BooksRule;
  /** The account, payment, entry, key or event that breaks it. */
  readonly culprit: string;
}

/** The columns of a primary key as text. */
export type RangeKey = readonly string[];

export interface ExaminedRange {
  readonly rows: number;
  /** Undefined if nothing is left. */
  readonly last: RangeKey | undefined;
  /** A few for each rule that is broken. */
  readonly findings: readonly Finding[];
}

export interface Books {
  /** The key after which payments of that time begin. */
  paymentsFrom(time: Date): RangeKey;
  /**
   * Examines the rows of a stage that follow the key, up to the limit, in one statement:
   * one snapshot, so that payments made meanwhile raise no alarm. Locks nothing.
   */
  examine(stage: Exclude<BooksStage, 'CURRENCIES'>, after: RangeKey | undefined, limit: number): Promise<ExaminedRange>;
  /** Sums all balances, in ranges of that many accounts and all in one snapshot. */
  sumCurrencies(limit: number): Promise<CurrencySum[]>;
}

/** How far an examination has come. */
export interface BooksProgress {
  /** Undefined once all is examined. */
  readonly stage: BooksStage | undefined;
  readonly after: RangeKey | undefined;
  readonly paymentsExamined: number;
  /** What is wrong, a sentence each; empty if the books balance. */
  readonly problems: readonly string[];
}

/** The most rows in one statement; see RangePace. */
export const RANGE_SIZE = 10_000;
/** Further problems are not named. */
const MOST_PROBLEMS = 100;

const BROKEN = {
  BALANCE_IS_LAST_ENTRY: 'the balance is not what the last ledger entry left, of account',
  PENDING_IS_OPEN_HOLDS: 'what is pending is not what open holds of the payer keep, of account',
  INCOMING_IS_OPEN_HOLDS: 'what is incoming is not what open holds for the payee keep, of account',
  BALANCE_HAS_ITS_ACCOUNT: 'a balance belongs to no account:',
  ACCOUNT_HAS_ITS_BALANCE: 'there is no balance of account',
  BALANCE_HAS_TERMS_OF_ACCOUNT: 'the balance has another currency, overdraft limit or state than its account:',
  CLOSED_HOLDS_NOTHING: 'there is money on closed account',
  ACCOUNT_CHANGES_FORM_A_CHAIN: 'the changes of the account have a gap, or one follows the closing:',
  ENTRIES_FORM_A_CHAIN: 'a ledger entry does not follow from the one before, of account',
  PAYMENT_HAS_ITS_ENTRIES: 'the ledger entries are not those of its kind and amount, of payment',
  HOLD_HAS_ITS_BALANCE: 'nothing says what became of the hold of payment',
  REFUND_HAS_ITS_BALANCE: 'nothing says how much of its payment is refunded after refund',
  ACTION_HAS_ITS_PAYMENT: 'the action is of no payment between the same accounts:',
  BATCH_IS_WHOLE: 'not all of its batch is there, or more than that, or at another time, of payment or action',
  PAYMENT_BALANCE_IS_SUM_OF_ACTIONS:
    'what is held, captured, released or refunded is not the sum of the actions, of payment',
  PAYMENT_HAS_CURRENCY_OF_ACCOUNTS: 'the currency is not that of payer and payee, of payment',
  ENTRY_HAS_ITS_PAYMENT: 'a ledger entry belongs to no authorized payment, of account',
  ENTRY_HAS_ITS_ACCOUNT: 'a ledger entry belongs to no account:',
  WITHIN_OVERDRAFT: 'the balance is below the overdraft limit, of account',
  KEY_HAS_ITS_PAYMENT: 'the idempotency key leads to no payment:',
  EVENT_HAS_ITS_PAYMENT: 'a pending event belongs to no payment or account change:',
  EVENT_IS_THAT_OF_ITS_CHANGE: 'the key, type or payload of the pending event is not that of the account change:',
  EVENT_HAS_KEY_OF_PAYMENT: 'the key of the pending event is not the payer, of payment',
  EVENT_HAS_TYPE_OF_PAYMENT: 'the type of the pending event does not fit the kind and status, of payment',
  EVENT_HAS_AMOUNT_OF_PAYMENT: 'the amount or currency of the pending event is another, of payment',
  EVENT_HAS_PAYLOAD_OF_PAYMENT: 'the payload of the pending event is not that of the payment, of payment',
} as const;

/** The start of an examination: of the whole books or, with since, of payments from then on. */
export function beginning(books: Books, since: Date | undefined): BooksProgress {
  const after = since && books.paymentsFrom(since);
  return { stage: 'PAYMENTS', after, paymentsExamined: 0, problems: [] };
}

/**
 * Examines the next range, of so many rows as the pace says, which takes note of the time.
 * Returns the progress after it. Throws if Postgres is unreachable.
 */
export async function examineRange(
  books: Books,
  progress: BooksProgress,
  whole: boolean,
  pace: RangePace,
): Promise<BooksProgress> {
  const { stage, after, problems } = progress;
  if (stage === undefined) return progress;
  const stages = whole ? WHOLE : RECENT;
  const next = { stage: stages[stages.indexOf(stage) + 1], after: undefined };
  if (stage === 'CURRENCIES') {
    const unbalanced = unbalancedCurrencies(await books.sumCurrencies(pace.rows));
    return { ...progress, ...next, problems: withMore(problems, unbalanced) };
  }
  const limit = pace.rows;
  const startedAtMs = performance.now();
  const { rows, last, findings } = await books.examine(stage, after, limit);
  // The last range of a stage says nothing of the size.
  if (rows === limit) pace.took(performance.now() - startedAtMs);
  return {
    ...(rows < limit ? next : { stage, after: last }),
    paymentsExamined: progress.paymentsExamined + (stage === 'PAYMENTS' ? rows : 0),
    problems: withMore(
      problems,
      findings.map(({ rule, culprit }) => `${BROKEN[rule]} ${culprit}`),
    ),
  };
}

/** Examines the whole books, range by range; onProgress hears of each. Throws if Postgres is unreachable. */
export async function reconcile(
  books: Books,
  onProgress: (progress: BooksProgress) => void = () => undefined,
  rangeSize: number = RANGE_SIZE,
): Promise<BooksProgress> {
  const pace = new RangePace(rangeSize);
  let progress = beginning(books, undefined);
  while (progress.stage !== undefined) {
    progress = await examineRange(books, progress, true, pace);
    onProgress(progress);
  }
  return progress;
}

function unbalancedCurrencies(sums: readonly CurrencySum[]): string[] {
  return sums
    .filter(({ sumCents }) => sumCents !== 0n)
    .map(({ currency, sumCents }) => `all balances in ${currency} together are ${sumCents}, not 0`);
}

/** One payment may be found twice, once for each of its accounts. */
function withMore(problems: readonly string[], more: readonly string[]): string[] {
  return [...new Set([...problems, ...more])].slice(0, MOST_PROBLEMS);
}
