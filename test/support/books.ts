import type { TestDatabase } from './database.ts';

/** What an entry adds to what its account has on hold. */
const PENDING = `case
  when direction = 'HOLD' then amount_cents
  when direction = 'RELEASE' then -amount_cents
  when direction = 'DEBIT' and released_cents is not null then -amount_cents - released_cents
  else 0 end`;

/**
 * What is wrong with the books, found by plain SQL that shares nothing with the
 * service: an empty list means that they balance.
 */
export async function auditBooks(database: TestDatabase): Promise<string[]> {
  const audits: Record<string, string> = {
    'a currency does not sum to zero': `
      select currency as culprit from account_balances group by currency having sum(available_cents + pending_cents) <> 0`,
    'a balance is below its overdraft limit': `
      select account_id as culprit from account_balances where available_cents < -overdraft_limit_cents`,
    'a balance is not the sum of its entries': `
      select balance.account_id as culprit
      from account_balances balance left join ledger_entries entry using (account_id)
      group by balance.account_id
      having balance.available_cents + balance.pending_cents
          <> coalesce(sum(case direction when 'CREDIT' then amount_cents when 'DEBIT' then -amount_cents else 0 end), 0)
        or balance.pending_cents <> coalesce(sum(${PENDING}), 0)`,
    'versions have a gap, or the balance is not at the last one': `
      select balance.account_id as culprit
      from account_balances balance left join ledger_entries entry using (account_id)
      group by balance.account_id
      having balance.version <> count(entry) or balance.version <> coalesce(max(entry.version), 0)`,
    'a running balance does not follow from the one before': `
      select account_id as culprit from (
        select account_id, balance_after_cents, coalesce(pending_after_cents, 0) as pending_after_cents,
          sum(case direction when 'CREDIT' then amount_cents when 'DEBIT' then -amount_cents else 0 end)
            over (partition by account_id order by version) as expected,
          sum(${PENDING}) over (partition by account_id order by version) as expected_pending
        from ledger_entries) chain
      where balance_after_cents <> expected or pending_after_cents <> expected_pending`,
    'what is pending or incoming is not what is on hold': `
      select balance.account_id as culprit from account_balances balance
      where pending_cents <> (select coalesce(sum(held_cents), 0) from payment_balances where payer_account_id = balance.account_id)
        or incoming_cents <> (select coalesce(sum(held_cents), 0) from payment_balances where payee_account_id = balance.account_id)`,
    'a payment is not what its actions made of it': `
      select first.payment_id::text as culprit
      from payments first
      left join payment_balances balance using (payment_id)
      left join lateral (
        select coalesce(sum(amount_cents) filter (where kind = 'CAPTURE'), 0) as captured,
          coalesce(sum(released_cents), 0) as released
        from payments where parent_id = first.payment_id and status = 'AUTHORIZED') later on true
      where first.kind = 'HOLD' and first.status = 'AUTHORIZED'
        and (balance.captured_cents, balance.released_cents, balance.held_cents) is distinct from
          (captured, released, first.amount_cents - captured - released)`,
    'a payment is not refunded by what its refunds come to, or by more than was captured': `
      select first.payment_id::text as culprit
      from payments first
      left join payment_balances balance using (payment_id)
      left join lateral (
        select coalesce(sum(amount_cents), 0) as refunded
        from payments where parent_id = first.payment_id and status = 'AUTHORIZED' and kind = 'REFUND') later on true
      where first.parent_id is null and (coalesce(balance.refunded_cents, 0) <> refunded
        or refunded > coalesce(balance.captured_cents, 0))`,
    'an authorized payment does not have its entries': `
      select payments.payment_id::text as culprit from payments
      left join ledger_entries payer on payer.account_id = payer_account_id and payer.version = payer_version
      left join ledger_entries payee on payee.account_id = payee_account_id and payee.version = payee_version
      where payments.status = 'AUTHORIZED'
        and (payer.payment_id, payer.direction::text, payer.amount_cents, payee.payment_id, payee.direction::text, payee.amount_cents)
          is distinct from case
            when kind in ('PAYMENT', 'CAPTURE') then (payments.payment_id, 'DEBIT'::text, payments.amount_cents,
                                                      payments.payment_id, 'CREDIT'::text, payments.amount_cents)
            when kind = 'REFUND' then (payments.payment_id, 'CREDIT'::text, payments.amount_cents,
                                       payments.payment_id, 'DEBIT'::text, payments.amount_cents)
            when kind = 'HOLD' then (payments.payment_id, 'HOLD'::text, payments.amount_cents, null::uuid, null::text, null::bigint)
            else (payments.payment_id, 'RELEASE'::text, payments.released_cents, null::uuid, null::text, null::bigint)
          end`,
    'entries belong to no authorized payment': `
      select payment_id::text as culprit from ledger_entries left join payments using (payment_id)
      where status is distinct from 'AUTHORIZED'
      union all
      select payment_id::text from ledger_entries join payments using (payment_id) group by payment_id, kind
      having count(*) <> case when kind in ('PAYMENT', 'CAPTURE', 'REFUND') then 2 else 1 end`,
    'a key has no payment or a payment no key': `
      select coalesce(payments.payment_id, idempotency_keys.payment_id)::text as culprit
      from payments full join idempotency_keys using (payment_id)
      where payments.payment_id is null
        or (idempotency_keys.payment_id is null) <> (kind = 'EXPIRY' or coalesce(batch_id <> payment_id, false))`,
    'a batch is not whole': `
      select batch_id::text as culprit from payments where batch_id is not null group by batch_id
      having count(*) filter (where payment_id = batch_id) <> 1 or count(distinct batch_item) <> count(*)
        or (count(*) > 1 and bool_or(status = 'DECLINED'))
        or array_agg(payment_id order by batch_item) <> coalesce(max(batch_actions), array_agg(payment_id))`,
  };
  const problems: string[] = [];
  for (const [problem, sql] of Object.entries(audits)) {
    for (const { culprit } of await database.query<{ culprit: string }>(`${sql} limit 3`)) {
      problems.push(`${problem}: ${culprit}`);
    }
  }
  return problems;
}
