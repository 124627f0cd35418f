import type { BenchDatabase } from './database.ts';
import { ACCOUNT_NAME_LENGTH, CURRENCY } from './load/accounts.ts';

const EXTERNAL = 'external-eur';
/** Enough that no benchmark runs an account dry. */
const FUNDING_CENTS = 1_000_000_000;
/** Before all payments that addPayments adds, since along an account's entries time does not go back. */
const FUNDED_AT = `now() - interval '1 day'`;
const OPENED_AT = `now() - interval '2 days'`;
/** Payments in one transaction of the loader. */
const CHUNK = 50_000;

/**
 * Opens the accounts and pays each its funds from outside. Nothing goes around the
 * rules: every payment has its entries, key and balances, and the triggers watch.
 */
export async function openAccounts({ client }: BenchDatabase, accounts: number): Promise<void> {
  const name = `'bench-' || lpad(n::text, ${ACCOUNT_NAME_LENGTH - 6}, '0')`;
  await client.query('begin');
  await client.query(`
    insert into accounts (account_id, currency, type, overdraft_limit_cents, opened_at)
    select ${name}, '${CURRENCY}', 'CUSTOMER'::account_type, 0::bigint, ${OPENED_AT} from generate_series(0, ${accounts - 1}) as n
    union all
    select '${EXTERNAL}', '${CURRENCY}', 'EXTERNAL', null, ${OPENED_AT}`);
  await client.query(`
    insert into account_balances (account_id, currency, overdraft_limit_cents)
    select account_id, currency, overdraft_limit_cents from accounts`);
  await writePayments(
    client,
    `select n, ${before(FUNDED_AT, accounts)} as created_at, ${name} as payee, '${EXTERNAL}' as payer, ${FUNDING_CENTS} as amount_cents
    from generate_series(0, ${accounts - 1}) as n`,
  );
  await client.query('commit');
  await client.query('vacuum analyze');
}

/**
 * Adds so many payments among the accounts, as if one had been made every
 * millisecond until now; onProgress hears how many there are after each chunk. Their events are not in
 * the outbox: the relay has long published them.
 */
export async function addPayments(
  { client }: BenchDatabase,
  accounts: number,
  payments: number,
  onProgress: (done: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  for (let done = 0; done < payments; done += CHUNK) {
    signal?.throwIfAborted();
    const last = Math.min(done + CHUNK, payments) - 1;
    await client.query('begin');
    await writePayments(
      client,
      // The payee is another account than the payer: 1 to accounts - 1 further on.
      `select n, ${before('now()', payments)} as created_at, 1 + n % 100 as amount_cents,
         'bench-' || lpad(payer::text, ${ACCOUNT_NAME_LENGTH - 6}, '0') as payer,
         'bench-' || lpad(((payer + 1 + floor(random() * (${accounts} - 1))::int) % ${accounts})::text,
           ${ACCOUNT_NAME_LENGTH - 6}, '0') as payee
       from (select n, floor(random() * ${accounts})::int as payer from generate_series(${done}, ${last}) as n) as drawn`,
    );
    await client.query('commit');
    onProgress(last + 1);
  }
  await client.query('vacuum analyze');
}

/** Opens the accounts and adds payments until there are so many, those that brought the funds included; reconciles. */
export async function fillBooks(
  database: BenchDatabase,
  accounts: number,
  payments: number,
  onProgress: (message: string) => void,
  signal: AbortSignal,
): Promise<void> {
  await openAccounts(database, accounts);
  await addPayments(
    database,
    accounts,
    Math.max(payments - accounts, 0),
    (done) => onProgress(`stored ${done + accounts} of ${payments} payments`),
    signal,
  );
  onProgress(`reconciling the books of ${payments} payments`);
  const problems = await problemsOf(database);
  if (problems.length > 0) throw new Error(`The loader's books do not balance:\n${problems.join('\n')}`);
}

/** When the n-th of so many was made: a millisecond before the next, and all of them before the time given. */
function before(time: string, count: number): string {
  return `date_trunc('milliseconds', ${time}) - (${count} - n) * interval '1 ms'`;
}

/**
 * Writes what the service would have written for the payments that the query yields:
 * n, created_at, payer, payee and amount_cents. Versions and running balances continue from the
 * accounts' balances, which must have no other writer.
 */
async function writePayments(client: BenchDatabase['client'], query: string): Promise<void> {
  await client.query(`
    create temporary table chunk on commit drop as
    select n, created_at, payer, payee, amount_cents::bigint,
      -- A ULID: 48 bits of time, then chance. They rise with n, as ids made by the service do with time.
      (lpad(to_hex((extract(epoch from created_at) * 1000)::bigint), 12, '0')
        || substr(md5(random()::text || n), 1, 20))::uuid as payment_id
    from (${query}) as drawn`);
  await client.query(`
    create temporary table chunk_entries on commit drop as
    select account_id, payment_id, direction, amount_cents, created_at,
      balance.version + row_number() over entries as version,
      balance.available_cents + sum(case direction when 'CREDIT' then amount_cents else -amount_cents end) over entries
        as balance_after_cents
    from (
      select n, created_at, payer as account_id, payment_id, 'DEBIT'::entry_direction as direction, amount_cents from chunk
      union all
      select n, created_at, payee, payment_id, 'CREDIT', amount_cents from chunk
    ) as side
    join account_balances as balance using (account_id)
    window entries as (partition by account_id order by n, direction)`);
  await client.query('create index on chunk_entries (payment_id)');
  await client.query('analyze chunk, chunk_entries');
  await client.query(`
    insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
      payer_version, payee_version, created_at)
    select payment_id, payer, payee, chunk.amount_cents, '${CURRENCY}', 'AUTHORIZED', 'Invoice 2024-' || n,
      debit.version, credit.version, chunk.created_at
    from chunk
    join chunk_entries debit using (payment_id)
    join chunk_entries credit using (payment_id)
    where debit.direction = 'DEBIT' and credit.direction = 'CREDIT'
    order by payment_id`);
  await client.query(`
    insert into ledger_entries
      (account_id, version, payment_id, direction, amount_cents, balance_after_cents, pending_after_cents, created_at)
    select account_id, version, payment_id, direction, amount_cents, balance_after_cents, null, created_at
    from chunk_entries order by account_id, version`);
  await client.query(`
    insert into idempotency_keys (caller, key, payment_id, created_at)
    select '', gen_random_uuid()::text, payment_id, created_at from chunk`);
  await client.query(`
    update account_balances as balance
    set available_cents = last.balance_after_cents, version = last.version, last_entry_at = last.created_at
    from (select distinct on (account_id) * from chunk_entries order by account_id, version desc) as last
    where balance.account_id = last.account_id`);
}

/** What breaks the rules in the books of a benchmark, by plain SQL; empty if nothing does. */
export async function problemsOf({ client }: BenchDatabase): Promise<string[]> {
  const { rows } = await client.query<{ problem: string }>(`
    with entries as (
      select account_id, count(*) as count, max(version) as last,
        sum(case direction when 'CREDIT' then amount_cents when 'DEBIT' then -amount_cents else 0 end) as posted_cents,
        sum(case direction when 'HOLD' then amount_cents when 'RELEASE' then -amount_cents
          when 'DEBIT' then -coalesce(amount_cents + released_cents, 0) else 0 end) as pending_cents
      from ledger_entries group by account_id),
    holds as (
      select account_id, sum(outgoing_cents) as outgoing_cents, sum(incoming_cents) as incoming_cents
      from payment_balances
      cross join lateral (values (payer_account_id, held_cents, 0), (payee_account_id, 0, held_cents))
        as side (account_id, outgoing_cents, incoming_cents)
      where open group by account_id)
    select 'the balance of ' || account_id || ' is not what its entries and holds say' as problem
    from account_balances balance left join entries using (account_id) left join holds using (account_id)
    where (balance.version, balance.version, available_cents + balance.pending_cents, balance.pending_cents,
        balance.pending_cents, balance.incoming_cents)
      is distinct from (coalesce(count, 0), coalesce(last, 0), coalesce(posted_cents, 0), coalesce(entries.pending_cents, 0),
        coalesce(outgoing_cents, 0), coalesce(holds.incoming_cents, 0))
    union all
    select 'the balances in ' || currency || ' do not sum to zero' from account_balances
    group by currency having sum(available_cents + pending_cents) <> 0
    union all
    select 'payments, entries and keys are not as many as they should be'
    where (select coalesce(sum(num_nonnulls(payer_version, payee_version)), 0) from payments)
        <> (select count(*) from ledger_entries)
      -- What came alone has a key of its own, a batch has one, which leads to the row with its id.
      or (select count(*) from payments where kind <> 'EXPIRY' and (batch_id is null or batch_id = payment_id))
        <> (select count(*) from idempotency_keys)
    limit 5`);
  return rows.map(({ problem }) => problem);
}
