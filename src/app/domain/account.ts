import type { Metadata } from './payment.ts';

export type AccountType = 'CUSTOMER' | 'EXTERNAL';

/** An account as it was opened; none of this changes afterwards. */
export interface AccountOpening {
  readonly accountId: string;
  /** ISO 4217. */
  readonly currency: string;
  readonly type: AccountType;
  /** How far below zero the balance might go then, in minor units; null is without limit. */
  readonly overdraftLimitCents: bigint | null;
  readonly openedAt: Date;
}

/** What of an account may change. */
export interface AccountTerms {
  /** How far below zero the balance may go, in minor units; null is without limit. */
  readonly overdraftLimitCents: bigint | null;
  /** It cannot pay. */
  readonly debitsFrozen: boolean;
  /** It cannot be paid. */
  readonly creditsFrozen: boolean;
  /** For good. */
  readonly closed: boolean;
  /** The caller's own notes, one at least; undefined if it has none. */
  readonly metadata: Metadata | undefined;
}

/** An account as it is now. */
export interface Account extends Omit<AccountOpening, keyof AccountTerms>, AccountTerms {
  /** Counts its changes without gaps; the opening is 1. */
  readonly revision: bigint;
  /** When it was changed last, or opened. */
  readonly changedAt: Date;
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
