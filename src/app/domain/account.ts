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
  /** What is posted, credits less debits, less what is pending. */
  readonly availableCents: bigint;
  /** On hold for others, where the account is the payer. */
  readonly pendingCents: bigint;
  /** On hold for the account, where it is the payee. */
  readonly incomingCents: bigint;
  /** The version of the account's last ledger entry; 0 before the first. */
  readonly version: bigint;
  readonly debitsFrozen: boolean;
  readonly creditsFrozen: boolean;
  readonly closed: boolean;
}

/** Credits less debits. */
export function postedCents({ availableCents, pendingCents }: Balance): bigint {
  return availableCents + pendingCents;
}
