import type { Generated, Selectable } from 'kysely';
import type { AccountType } from '../../app/domain/account.ts';
import type { EntryDirection } from '../../app/domain/ledger.ts';
import type { DeclineCode, Metadata } from '../../app/domain/payment.ts';

/** The tables of migrations/, as kysely sees them. */
export interface Database {
  accounts: AccountsTable;
  account_balances: AccountBalancesTable;
  payments: PaymentsTable;
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
}

export interface LedgerEntriesTable {
  account_id: string;
  version: bigint;
  payment_id: string;
  direction: EntryDirection;
  amount_cents: bigint;
  balance_after_cents: bigint;
  created_at: Date;
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
