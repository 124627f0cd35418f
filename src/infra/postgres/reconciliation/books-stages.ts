import type { BooksRule, BooksStage } from '../../../app/reconciliation/books.ts';
import { CHANGE_EVENT_RULES, CHANGE_RULES, TERMS_RULES, ULID_OF_EVENT } from './account-rules.ts';

/** What is examined in ranges of its primary key. */
export interface StageTable {
  readonly table: string;
  /** Columns of the primary key with their types, and a value that comes before all. */
  readonly key: readonly (readonly [column: string, type: string, first: string])[];
  /** Each selects the culprits among the rows of `page`. */
  readonly rules: Partial<Record<BooksRule, string>>;
}

const NO_UUID = '00000000-0000-0000-0000-000000000000';

const PAYMENT_RULES: StageTable['rules'] = {
  PAYMENT_HAS_ITS_ENTRIES: `
    select payment.payment_id::text as culprit
    from page payment
    left join ledger_entries debit
      on debit.account_id = payment.payer_account_id and debit.version = payment.payer_version
    left join ledger_entries credit
      on credit.account_id = payment.payee_account_id and credit.version = payment.payee_version
    where payment.status = 'AUTHORIZED'
      and (debit.payment_id, debit.direction, debit.amount_cents, credit.payment_id, credit.direction, credit.amount_cents)
        is distinct from (payment.payment_id, 'DEBIT'::entry_direction, payment.amount_cents,
                          payment.payment_id, 'CREDIT'::entry_direction, payment.amount_cents)`,
  PAYMENT_HAS_CURRENCY_OF_ACCOUNTS: `
    select payment.payment_id::text as culprit
    from page payment
    join accounts payer on payer.account_id = payment.payer_account_id
    join accounts payee on payee.account_id = payment.payee_account_id
    where payment.status = 'AUTHORIZED'
      and (payer.currency <> payment.currency or payee.currency <> payment.currency)`,
  ENTRIES_FORM_A_CHAIN: `
    select entry.account_id as culprit
    from page payment
    cross join lateral (
      values (payment.payer_account_id, payment.payer_version), (payment.payee_account_id, payment.payee_version)
    ) as side (account_id, version)
    join ledger_entries entry on entry.account_id = side.account_id and entry.version = side.version
    left join ledger_entries previous on previous.account_id = side.account_id and previous.version = side.version - 1
    where entry.balance_after_cents is distinct from
      case entry.direction when 'DEBIT' then -entry.amount_cents else entry.amount_cents end
      + case entry.version when 1 then 0 else previous.balance_after_cents end`,
};

const BALANCE_RULES: StageTable['rules'] = {
  // Version 0 is before the first entry. Nothing may come after the last one.
  BALANCE_IS_LAST_ENTRY: `
    select balance.account_id as culprit
    from page balance
    left join ledger_entries last on last.account_id = balance.account_id and last.version = balance.version
    left join ledger_entries further on further.account_id = balance.account_id and further.version = balance.version + 1
    where balance.available_cents <> coalesce(last.balance_after_cents, 0)
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
      case entry.direction
        when 'DEBIT' then (payment.payer_account_id, payment.payer_version)
        else (payment.payee_account_id, payment.payee_version)
      end`,
  ENTRY_HAS_ITS_ACCOUNT: `
    select entry.account_id || ' version ' || entry.version as culprit
    from page entry left join accounts using (account_id) where accounts.account_id is null`,
};

const EVENT_RULES: StageTable['rules'] = {
  EVENT_HAS_ITS_PAYMENT: `
    select event.id::text as culprit
    from page event
    left join payments on payments.payment_id = event.id
    left join account_changes on account_changes.change_id = event.id
    where payments.payment_id is null and account_changes.change_id is null`,
  ...CHANGE_EVENT_RULES,
  EVENT_HAS_KEY_OF_PAYMENT: `
    select event.id::text as culprit
    from page event join payments on payments.payment_id = event.id
    where event.aggregatetype <> 'payment' or event.aggregateid <> payments.payer_account_id`,
  EVENT_HAS_TYPE_OF_PAYMENT: `
    select event.id::text as culprit
    from page event join payments on payments.payment_id = event.id
    where event.type <> 'payment.' || lower(payments.status::text) || '.v1'`,
  EVENT_HAS_AMOUNT_OF_PAYMENT: `
    select event.id::text as culprit
    from page event join payments on payments.payment_id = event.id
    where (event.payload ->> 'amountCents', event.payload ->> 'currency')
      is distinct from (payments.amount_cents::text, payments.currency)`,
  // Protobuf-JSON leaves out what is empty or zero.
  EVENT_HAS_PAYLOAD_OF_PAYMENT: `
    select event.id::text as culprit
    from page event
    join payments on payments.payment_id = event.id
    left join ledger_entries debit
      on debit.account_id = payments.payer_account_id and debit.version = payments.payer_version
    left join ledger_entries credit
      on credit.account_id = payments.payee_account_id and credit.version = payments.payee_version
    where event.payload - '{amountCents,currency,authorizedAt,declinedAt}'::text[] is distinct from
      jsonb_strip_nulls(jsonb_build_object(
        'paymentId', ${ULID_OF_EVENT},
        'payerAccountId', payments.payer_account_id,
        'payeeAccountId', payments.payee_account_id,
        'description', nullif(payments.description, ''),
        'reference', payments.reference,
        'metadata', payments.metadata
      ) || case payments.status
        when 'AUTHORIZED' then jsonb_build_object(
          'payer', jsonb_build_object('balanceCents', nullif(debit.balance_after_cents, 0)::text, 'version', debit.version::text),
          'payee', jsonb_build_object('balanceCents', nullif(credit.balance_after_cents, 0)::text, 'version', credit.version::text))
        else jsonb_build_object(
          'error', jsonb_build_object('code', 'PAYMENT_ERROR_CODE_' || payments.decline_code, 'message', payments.decline_message))
      end)`,
};

export const STAGES: Record<Exclude<BooksStage, 'CURRENCIES'>, StageTable> = {
  PAYMENTS: { table: 'payments', key: [['payment_id', 'uuid', NO_UUID]], rules: PAYMENT_RULES },
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
