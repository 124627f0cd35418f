export type EntryDirection = 'DEBIT' | 'CREDIT';

/** One side of a payment in the books. DEBIT takes from the account, CREDIT gives to it. */
export interface LedgerEntry {
  readonly accountId: string;
  /** Counts the account's entries from 1, without gaps. */
  readonly version: bigint;
  readonly paymentId: string;
  readonly direction: EntryDirection;
  /** Positive, in minor units. */
  readonly amountCents: bigint;
  readonly balanceAfterCents: bigint;
  readonly createdAt: Date;
}
