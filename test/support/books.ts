import type { TestDatabase } from './database.ts';

/**
 * What is wrong with the books, found by plain SQL that shares nothing with the
 * service: an empty list means that they balance.
 */
export async function auditBooks(database: TestDatabase): Promise<string[]> {
  const audits: Record<string, string> = {
    'a currency does not sum to zero': `
      select currency as culprit from account_balances group by currency having sum(available_cents) <> 0`,
    'a balance is below its overdraft limit': `
      select account_id as culprit from account_balances where available_cents < -overdraft_limit_cents`,
    'a balance is not the sum of its entries': `
      select balance.account_id as culprit
      from account_balances balance left join ledger_entries entry using (account_id)
      group by balance.account_id
      having balance.available_cents
        <> coalesce(sum(case direction when 'CREDIT' then amount_cents else -amount_cents end), 0)`,
    'versions have a gap, or the balance is not at the last one': `
      select balance.account_id as culprit
      from account_balances balance left join ledger_entries entry using (account_id)
      group by balance.account_id
      having balance.version <> count(entry) or balance.version <> coalesce(max(entry.version), 0)`,
    'a running balance does not follow from the one before': `
      select account_id as culprit from (
        select account_id, balance_after_cents,
          sum(case direction when 'CREDIT' then amount_cents else -amount_cents end)
            over (partition by account_id order by version) as expected
        from ledger_entries) chain
      where balance_after_cents <> expected`,
    'an authorized payment does not have its two entries': `
      select payments.payment_id::text as culprit from payments
      left join ledger_entries debit on debit.account_id = payer_account_id and debit.version = payer_version
      left join ledger_entries credit on credit.account_id = payee_account_id and credit.version = payee_version
      where payments.status = 'AUTHORIZED'
        and (debit.payment_id, debit.direction, debit.amount_cents, credit.payment_id, credit.direction, credit.amount_cents)
          is distinct from (payments.payment_id, 'DEBIT'::entry_direction, payments.amount_cents,
                            payments.payment_id, 'CREDIT'::entry_direction, payments.amount_cents)`,
    'entries belong to no authorized payment': `
      select payment_id::text as culprit from ledger_entries left join payments using (payment_id)
      where status is distinct from 'AUTHORIZED'
      union all
      select payment_id::text from ledger_entries group by payment_id having count(*) <> 2`,
    'a key has no payment or a payment no key': `
      select coalesce(payments.payment_id, idempotency_keys.payment_id)::text as culprit
      from payments full join idempotency_keys using (payment_id)
      where payments.payment_id is null or idempotency_keys.payment_id is null`,
  };
  const problems: string[] = [];
  for (const [problem, sql] of Object.entries(audits)) {
    for (const { culprit } of await database.query<{ culprit: string }>(`${sql} limit 3`)) {
      problems.push(`${problem}: ${culprit}`);
    }
  }
  return problems;
}
