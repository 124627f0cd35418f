export type AccountType = 'CUSTOMER' | 'EXTERNAL';

/** An account as it was opened; none of this changes afterwards. */
export interface Account {
  readonly accountId: string;
  /** ISO 4217. */
  readonly currency: string;
  readonly type: AccountType;
  /** How far below zero the balance may go, in minor units; null is without limit. */
  readonly overdraftLimitCents: bigint | null;
  readonly openedAt: Date;
}

/** The balances of an account, in minor units of its currency. */
export interface Balance {
  readonly accountId: string;
  readonly currency: string;
  readonly overdraftLimitCents: bigint | null;
  readonly availableCents: bigint;
  readonly pendingCents: bigint;
  /** The version of the account's last ledger entry; 0 before the first. */
  readonly version: bigint;
  readonly debitsFrozen: boolean;
  readonly creditsFrozen: boolean;
  readonly closed: boolean;
}
