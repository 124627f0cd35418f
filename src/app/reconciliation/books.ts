/** A rule of the books that Postgres can show to be broken. */
export type BooksRule =
  | 'BALANCE_IS_LAST_ENTRY'
  | 'ENTRIES_FORM_A_CHAIN'
  | 'PAYMENT_HAS_ITS_ENTRIES'
  | 'ENTRY_HAS_ITS_PAYMENT'
  | 'WITHIN_OVERDRAFT'
  | 'KEY_HAS_ITS_PAYMENT'
  | 'EVENT_HAS_ITS_PAYMENT';

export interface CurrencySum {
  readonly currency: string;
  /** All balances of the currency together, in minor units: zero, or the books are wrong. */
  readonly sumCents: bigint;
}

export interface Finding {
  readonly rule: BooksRule;
  /** The account, payment or key that breaks it. */
  readonly culprit: string;
}

/** The books at one moment. */
export interface BooksExamination {
  readonly currencies: readonly CurrencySum[];
  /** A few for each rule that is broken. */
  readonly findings: readonly Finding[];
  readonly paymentsExamined: number;
}

export interface Books {
  /**
   * Examines the books in one snapshot, so that payments made meanwhile raise no
   * alarm. With since, only payments from then on and their entries are examined,
   * and balances and currencies as ever in whole. Writes and locks nothing.
   */
  examine(since?: Date): Promise<BooksExamination>;
}

export interface ReconciliationReport {
  readonly currencies: readonly CurrencySum[];
  /** What is wrong, a sentence each; empty if the books balance. */
  readonly problems: readonly string[];
  readonly paymentsExamined: number;
}

const BROKEN: Record<BooksRule, string> = {
  BALANCE_IS_LAST_ENTRY: 'the balance is not what the last ledger entry left, of account',
  ENTRIES_FORM_A_CHAIN: 'a ledger entry does not follow from the one before, of account',
  PAYMENT_HAS_ITS_ENTRIES: 'the ledger entries are not one debit and one credit of the amount, of payment',
  ENTRY_HAS_ITS_PAYMENT: 'a ledger entry belongs to no authorized payment, of account',
  WITHIN_OVERDRAFT: 'the balance is below the overdraft limit, of account',
  KEY_HAS_ITS_PAYMENT: 'the idempotency key leads to no payment:',
  EVENT_HAS_ITS_PAYMENT: 'an event waits that belongs to no payment:',
};

/** Whether the books balance. Throws if Postgres cannot be had. */
export async function reconcile(books: Books, since?: Date): Promise<ReconciliationReport> {
  const { currencies, findings, paymentsExamined } = await books.examine(since);
  const unbalanced = currencies
    .filter(({ sumCents }) => sumCents !== 0n)
    .map(({ currency, sumCents }) => `all balances in ${currency} together are ${sumCents}, not 0`);
  const broken = findings.map(({ rule, culprit }) => `${BROKEN[rule]} ${culprit}`);
  return { currencies, problems: [...unbalanced, ...broken], paymentsExamined };
}
