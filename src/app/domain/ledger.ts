/** DEBIT takes from the account, CREDIT gives to it; HOLD sets aside what it has, RELEASE gives that back. */
export type EntryDirection = 'DEBIT' | 'CREDIT' | 'HOLD' | 'RELEASE';

/** What an action on a payment does to one account. */
export interface LedgerEntry {
  readonly accountId: string;
  /** Counts the account's entries from 1, without gaps. */
  readonly version: bigint;
  /** The action that made it. */
  readonly actionId: string;
  readonly direction: EntryDirection;
  /** Positive, in minor units. */
  readonly amountCents: bigint;
  /** Of a capture: what went back to the payer's funds with it, 0 on the payee's side. Undefined otherwise. */
  readonly releasedCents?: bigint | undefined;
  /** What is posted. */
  readonly balanceAfterCents: bigint;
  /** What the account has on hold for others. */
  readonly pendingAfterCents: bigint;
  readonly createdAt: Date;
}
