import type { Generated, Selectable } from 'kysely';
import type { AccountType } from '../../app/domain/account.ts';
import type { EntryDirection } from '../../app/domain/ledger.ts';
import type { Action, DeclineCode, Metadata } from '../../app/domain/payment.ts';

/** The tables of migrations/, as kysely sees them. */
export interface Database {
  accounts: AccountsTable;
  account_balances: AccountBalancesTable;
  payments: PaymentsTable;
  payment_balances: PaymentBalancesTable;
  ledger_entries: LedgerEntriesTable;
  idempotency_keys: IdempotencyKeysTable;
}

export interface AccountsTable {
  account_id: string;
  currency: string;
  type: AccountType;
  overdraft_limit_cents: bigint | null;
  opened_at: Date;
}

export interface AccountBalancesTable {
  account_id: string;
  currency: string;
  overdraft_limit_cents: bigint | null;
  available_cents: Generated<bigint>;
  pending_cents: Generated<bigint>;
  incoming_cents: Generated<bigint>;
  version: Generated<bigint>;
  last_entry_at: Date | null;
  flags: Generated<number>;
}

export interface PaymentsTable {
  payment_id: string;
  payer_account_id: string;
  payee_account_id: string;
  amount_cents: bigint;
  currency: string;
  status: 'AUTHORIZED' | 'DECLINED';
  description: string;
  reference: string | null;
  metadata: Metadata | null;
  decline_code: DeclineCode | null;
  decline_message: string | null;
  payer_version: bigint | null;
  payee_version: bigint | null;
  created_at: Date;
  kind: Action['kind'];
  parent_id: string | null;
  released_cents: bigint | null;
  expires_at: Date | null;
  requested_cents: bigint | null;
  keep_remainder: boolean | null;
  batch_id: string | null;
  batch_item: number | null;
  request_digest: Buffer | null;
}

export interface PaymentBalancesTable {
  payment_id: string;
  held_cents: bigint;
  captured_cents: bigint;
  released_cents: bigint;
  refunded_cents: bigint;
  actions: number;
  expires_at: Date | null;
  open: Generated<boolean>;
  updated_at: Date;
}

export interface LedgerEntriesTable {
  account_id: string;
  version: bigint;
  payment_id: string;
  direction: EntryDirection;
  amount_cents: bigint;
  balance_after_cents: bigint;
  created_at: Date;
  released_cents: bigint | null;
  pending_after_cents: bigint | null;
}

export interface IdempotencyKeysTable {
  caller: string;
  key: string;
  payment_id: string;
  created_at: Date;
}

export type AccountRow = Selectable<AccountsTable>;
export type BalanceRow = Selectable<AccountBalancesTable>;
export type PaymentRow = Selectable<PaymentsTable>;
export type PaymentBalanceRow = Selectable<PaymentBalancesTable>;
