import type { BooksRule, BooksStage } from '../../../app/reconciliation/books.ts';
import { CHANGE_RULES, TERMS_RULES } from './account-rules.ts';
import { EVENT_RULES } from './event-rules.ts';
import { PAYMENT_BALANCE_RULES, PAYMENT_RULES } from './payment-rules.ts';

/** What is examined in ranges of its primary key. */
export interface StageTable {
  readonly table: string;
  /** Columns of the primary key with their types, and a value that comes before all. */
  readonly key: readonly (readonly [column: string, type: string, first: string])[];
  /** Each selects the culprits among the rows of `page`. */
  readonly rules: Partial<Record<BooksRule, string>>;
}

const NO_UUID = '00000000-0000-0000-0000-000000000000';

const BALANCE_RULES: StageTable['rules'] = {
  // Version 0 is before the first entry. Nothing may come after the last one.
  BALANCE_IS_LAST_ENTRY: `
    select balance.account_id as culprit
    from page balance
    left join ledger_entries last on last.account_id = balance.account_id and last.version = balance.version
    left join ledger_entries further on further.account_id = balance.account_id and further.version = balance.version + 1
    where balance.available_cents + balance.pending_cents <> coalesce(last.balance_after_cents, 0)
      or balance.pending_cents <> coalesce(last.pending_after_cents, 0)
      or (last.version is null) <> (balance.version = 0)
      or further.version is not null`,
  WITHIN_OVERDRAFT: `
    select account_id as culprit from page where available_cents < -overdraft_limit_cents`,
  BALANCE_HAS_ITS_ACCOUNT: `
    select page.account_id as culprit from page left join accounts using (account_id) where accounts.account_id is null`,
  ...TERMS_RULES,
};

const ENTRY_RULES: StageTable['rules'] = {
  ENTRY_HAS_ITS_PAYMENT: `
    select entry.account_id || ' version ' || entry.version as culprit
    from page entry
    left join payments payment on payment.payment_id = entry.payment_id
    where (entry.account_id, entry.version) is distinct from
      case entry.account_id
        when payment.payer_account_id then (payment.payer_account_id, payment.payer_version)
        else (payment.payee_account_id, payment.payee_version)
      end`,
  ENTRY_HAS_ITS_ACCOUNT: `
    select entry.account_id || ' version ' || entry.version as culprit
    from page entry left join accounts using (account_id) where accounts.account_id is null`,
};

export const STAGES: Record<Exclude<BooksStage, 'CURRENCIES'>, StageTable> = {
  PAYMENTS: { table: 'payments', key: [['payment_id', 'uuid', NO_UUID]], rules: PAYMENT_RULES },
  PAYMENT_BALANCES: {
    table: 'payment_balances',
    key: [['payment_id', 'uuid', NO_UUID]],
    rules: PAYMENT_BALANCE_RULES,
  },
  ACCOUNTS: {
    table: 'accounts',
    key: [['account_id', 'text', '']],
    rules: {
      ...CHANGE_RULES,
      ACCOUNT_HAS_ITS_BALANCE: `
        select page.account_id as culprit from page left join account_balances balance using (account_id)
        where balance.account_id is null`,
    },
  },
  BALANCES: { table: 'account_balances', key: [['account_id', 'text', '']], rules: BALANCE_RULES },
  ENTRIES: {
    table: 'ledger_entries',
    key: [
      ['account_id', 'text', ''],
      ['version', 'bigint', '0'],
    ],
    rules: ENTRY_RULES,
  },
  KEYS: {
    table: 'idempotency_keys',
    key: [
      ['caller', 'text', ''],
      ['key', 'text', ''],
    ],
    rules: {
      KEY_HAS_ITS_PAYMENT: `
        select page.key as culprit from page left join payments using (payment_id) where payments.payment_id is null`,
    },
  },
  OUTBOX: {
    table: 'outbox',
    key: [
      ['shard', 'smallint', '-1'],
      ['position', 'bigint', '0'],
    ],
    rules: EVENT_RULES,
  },
  BLOCKED: {
    table: 'outbox_blocked',
    key: [
      ['shard', 'smallint', '-1'],
      ['aggregateid', 'text', ''],
      ['position', 'bigint', '0'],
    ],
    rules: EVENT_RULES,
  },
  DEAD_LETTERS: { table: 'outbox_dead_letters', key: [['id', 'uuid', NO_UUID]], rules: EVENT_RULES },
};
