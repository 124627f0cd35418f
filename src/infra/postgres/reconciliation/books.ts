import type pg from 'pg';
import { uuidToULID } from 'ulid';
import { lowestPaymentId } from '../../../app/domain/payment-id.ts';
import type { Books, BooksExamination, BooksRule, CurrencySum, Finding } from '../../../app/reconciliation/books.ts';
import { ulidToUuid } from '../../ulid.ts';

/** Of each rule that is broken, so many culprits are named. */
const FINDINGS_PER_RULE = 5;

/** The books as Postgres has them. An examination reads in one read-only snapshot. */
export function postgresBooks(pool: pg.Pool): Books {
  return { examine: (since) => examine(pool, since) };
}

const WHOLE_RULES: Partial<Record<BooksRule, string>> = {
  // Version 0 is before the first entry. Nothing may come after the last one.
  BALANCE_IS_LAST_ENTRY: `
    select balance.account_id as culprit
    from account_balances balance
    left join ledger_entries last on last.account_id = balance.account_id and last.version = balance.version
    left join ledger_entries further on further.account_id = balance.account_id and further.version = balance.version + 1
    where balance.available_cents <> coalesce(last.balance_after_cents, 0)
      or (last.version is null) <> (balance.version = 0)
      or further.version is not null`,
  WITHIN_OVERDRAFT: `
    select account_id as culprit from account_balances where available_cents < -overdraft_limit_cents`,
  EVENT_HAS_ITS_PAYMENT: `
    select waiting.id::text as culprit
    from (
      select id from outbox union all select id from outbox_blocked union all select id from outbox_dead_letters
    ) waiting
    left join payments on payments.payment_id = waiting.id
    where payments.payment_id is null`,
};

// $1 is the lowest payment id to look at. Ids begin with their time.
const RULES_BY_PAYMENT: Partial<Record<BooksRule, string>> = {
  PAYMENT_HAS_ITS_ENTRIES: `
    select payment.payment_id::text as culprit
    from payments payment
    left join ledger_entries debit
      on debit.account_id = payment.payer_account_id and debit.version = payment.payer_version
    left join ledger_entries credit
      on credit.account_id = payment.payee_account_id and credit.version = payment.payee_version
    where payment.payment_id >= $1 and payment.status = 'AUTHORIZED'
      and (debit.payment_id, debit.direction, debit.amount_cents, credit.payment_id, credit.direction, credit.amount_cents)
        is distinct from (payment.payment_id, 'DEBIT'::entry_direction, payment.amount_cents,
                          payment.payment_id, 'CREDIT'::entry_direction, payment.amount_cents)`,
  ENTRIES_FORM_A_CHAIN: `
    select entry.account_id as culprit
    from payments payment
    cross join lateral (
      values (payment.payer_account_id, payment.payer_version), (payment.payee_account_id, payment.payee_version)
    ) as side (account_id, version)
    join ledger_entries entry on entry.account_id = side.account_id and entry.version = side.version
    left join ledger_entries previous on previous.account_id = side.account_id and previous.version = side.version - 1
    where payment.payment_id >= $1
      and entry.balance_after_cents is distinct from
        case entry.direction when 'DEBIT' then -entry.amount_cents else entry.amount_cents end
        + case entry.version when 1 then 0 else previous.balance_after_cents end`,
};

/** These read every entry and every key, so they are left to examinations of the whole. */
const WHOLE_ONLY_RULES: Partial<Record<BooksRule, string>> = {
  ENTRY_HAS_ITS_PAYMENT: `
    select entry.account_id || ' version ' || entry.version as culprit
    from ledger_entries entry
    left join payments payment on payment.payment_id = entry.payment_id
    where (entry.account_id, entry.version) is distinct from
      case entry.direction
        when 'DEBIT' then (payment.payer_account_id, payment.payer_version)
        else (payment.payee_account_id, payment.payee_version)
      end`,
  KEY_HAS_ITS_PAYMENT: `
    select idempotency_keys.key as culprit
    from idempotency_keys left join payments using (payment_id)
    where payments.payment_id is null`,
};

async function examine(pool: pg.Pool, since?: Date): Promise<BooksExamination> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('begin isolation level repeatable read read only');
    const { rows: currencies } = await client.query<{ currency: string; sumCents: string }>(
      'select currency, sum(available_cents + pending_cents)::text as "sumCents" from account_balances group by currency order by currency',
    );
    const lowestId = ulidToUuid(lowestPaymentId(since?.getTime() ?? 0));
    const { rows: counted } = await client.query<{ count: string }>(
      'select count(*)::text as count from payments where payment_id >= $1',
      [lowestId],
    );
    const findings = [
      ...(await findBroken(client, WHOLE_RULES, [])),
      ...(await findBroken(client, RULES_BY_PAYMENT, [lowestId])),
      ...(since === undefined ? await findBroken(client, WHOLE_ONLY_RULES, []) : []),
    ];
    await client.query('commit');
    return { currencies: currencies.map(toCurrencySum), findings, paymentsExamined: Number(counted[0]?.count) };
  } catch (error) {
    // A connection in an unknown state is not given back to the pool.
    broken = error instanceof Error ? error : new Error(String(error));
    throw error;
  } finally {
    client.release(broken);
  }
}

async function findBroken(
  client: pg.ClientBase,
  rules: Partial<Record<BooksRule, string>>,
  values: unknown[],
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [rule, sql] of Object.entries(rules)) {
    const { rows } = await client.query<{ culprit: string }>(`${sql} limit ${FINDINGS_PER_RULE}`, values);
    for (const { culprit } of rows) findings.push({ rule: rule as BooksRule, culprit: readable(culprit) });
  }
  return findings;
}

/** Payment ids are known to people as ULIDs. */
function readable(culprit: string): string {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(culprit) ? uuidToULID(culprit) : culprit;
}

function toCurrencySum({ currency, sumCents }: { currency: string; sumCents: string }): CurrencySum {
  // The sum of many bigints is a numeric, which may be larger than any of them.
  return { currency, sumCents: BigInt(sumCents) };
}
