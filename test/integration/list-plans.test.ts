import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PaymentFilter } from '../../src/app/listings.ts';
import { uuidToUlid } from '../../src/app/ulid.ts';
import { postgresLedger } from '../../src/infra/postgres/payments/ledger.ts';
import { postgresListings } from '../../src/infra/postgres/payments/listings.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

// No read goes through a whole table: the plans of every statement that it sends.
const PAYMENTS = 60_000;
const ACCOUNTS = 300;

let database: TestDatabase;
let sent: { text: string; values: unknown[] }[];

beforeAll(async () => {
  database = await createDatabase();
  await database.query(`
    set session_replication_role = replica;
    insert into accounts select 'acc-' || n, 'RUB', 'EXTERNAL', null, now() from generate_series(0, ${ACCOUNTS - 1}) n;
    create table drawn as
      select n, lpad(to_hex(1764000000000 + n), 12, '0') || lpad(to_hex(n), 20, '0') as id,
        'acc-' || n % ${ACCOUNTS} as payer, 'acc-' || (n + 1 + n * 7 % (${ACCOUNTS} - 1)) % ${ACCOUNTS} as payee, n % 50 = 0 as declined,
        to_timestamp(1764000000 + n / 1000.0) as at
      from generate_series(1, ${PAYMENTS}) n;
    create table entries as
      select *, row_number() over (partition by account order by n) as version from (
        select n, id, payer as account, 'DEBIT' as direction, at from drawn where not declined
        union all select n, id, payee, 'CREDIT', at from drawn where not declined) as side;
    create index on entries (n, direction);
    insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
        reference, decline_code, decline_message, payer_version, payee_version, created_at)
      select id::uuid, payer, payee, 1, 'RUB', case when declined then 'DECLINED' else 'AUTHORIZED' end::payment_status, '',
        case when n % 20 = 0 then 'order ' || n / 100 end, case when declined then 'X' end, case when declined then 'x' end,
        debit.version, credit.version, drawn.at
      from drawn
      left join entries debit using (n, id)
      left join entries credit using (n, id)
      where declined or (debit.direction = 'DEBIT' and credit.direction = 'CREDIT');
    -- Of each hundred, nine came in a batch.
    update payments item
      set batch_id = first.id, batch_item = drawn.n % 100 - 51,
        batch_actions = case drawn.n % 100 when 51 then (
          select array_agg(other.id::uuid order by other.n) from drawn other where other.n between drawn.n and drawn.n + 8) end,
        request_digest = case drawn.n % 100 when 51 then '\\x01'::bytea end
      from drawn
      join (select n / 100 as hundred, id::uuid from drawn where n % 100 = 51) first on first.hundred = drawn.n / 100
      where drawn.n % 100 between 51 and 59 and item.payment_id = drawn.id::uuid;
    insert into ledger_entries select account, version, id::uuid, direction::entry_direction, 1, 0, at, null, null from entries;
    insert into payment_balances (payment_id, payer_account_id, payee_account_id, amount_cents, held_cents,
        captured_cents, released_cents, refunded_cents, actions, updated_at)
      select id::uuid, payer, payee, 1, 0, 1, 0, 0, 0, at from drawn where not declined and n % 3 = 0;
    insert into account_balances (account_id, currency, version)
      select account, 'RUB', max(version) from entries group by account;
    insert into idempotency_keys select '', 'key ' || n, id::uuid, at from drawn;
    drop table drawn, entries;
    set session_replication_role = default`);
  await database.query('analyze');
  database.application.on('acquire', note);
}, 120_000);
afterAll(() => database.close());

/** The pool, which notes what is sent over it. */
function noting(): pg.Pool {
  sent = [];
  return database.application;
}

function note(client: pg.PoolClient & { noted?: true }): void {
  if (client.noted) return;
  client.noted = true;
  const query = client.query.bind(client) as (...given: unknown[]) => unknown;
  Object.assign(client, {
    query: (...given: [string | { text: string; values?: unknown[] }, ...unknown[]]) => {
      const [first, second] = given;
      if (typeof first === 'string') sent.push({ text: first, values: Array.isArray(second) ? second : [] });
      else sent.push({ text: first.text, values: first.values ?? (Array.isArray(second) ? second : []) });
      return query(...given);
    },
  });
}

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Plans?: readonly Plan[];
}

const nodes = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)];

/** The tables that any statement since goes through as a whole. */
async function scannedWhole(): Promise<string[]> {
  const scanned: string[] = [];
  for (const { text, values } of [...sent]) {
    const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(`explain (format json) ${text}`, values);
    for (const node of nodes(row!['QUERY PLAN'][0].Plan)) {
      if (node['Node Type'] === 'Seq Scan') scanned.push(`${node['Relation Name']}: ${text}`);
    }
  }
  return scanned;
}

const NOTHING: PaymentFilter = {
  accountId: undefined,
  role: undefined,
  statuses: new Set(['AUTHORIZED', 'DECLINED']),
  reference: undefined,
  batchId: undefined,
  createdFrom: undefined,
  createdBefore: undefined,
};
const [from, before] = [new Date(1_764_000_000_000 + 10_000), new Date(1_764_000_000_000 + 50_000)];
const cursor = {
  versionBefore: 200n,
  paymentBefore: uuidToUlid(
    `${(1_764_000_030_000)
      .toString(16)
      .padStart(12, '0')
      .replace(/^(.{8})/, '$1-')}-7000-8000-000000000000`,
  ),
};

const idOf = (n: number) => {
  const time = (1_764_000_000_000 + n).toString(16).padStart(12, '0');
  const rest = n.toString(16).padStart(20, '0');
  return (time + rest).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
};
const BATCH = uuidToUlid(idOf(7_051));

describe('no table is read as a whole', () => {
  test.each<[string, Partial<PaymentFilter>]>([
    ['by account', { accountId: 'acc-5' }],
    ['by payer', { accountId: 'acc-5', role: 'PAYER' }],
    ['by payer, held', { accountId: 'acc-5', role: 'PAYER', statuses: new Set(['HELD']) }],
    ['by payee, declined', { accountId: 'acc-5', role: 'PAYEE', statuses: new Set(['DECLINED']) }],
    ['by account and time', { accountId: 'acc-5', createdFrom: from, createdBefore: before }],
    ['by reference', { reference: 'order 77' }],
    ['by reference and account', { reference: 'order 77', accountId: 'acc-5' }],
    ['by batch', { batchId: BATCH }],
    ['by batch and account', { batchId: BATCH, accountId: 'acc-5' }],
    ['by time', { createdFrom: from, createdBefore: before }],
    ['by time, declined', { createdFrom: from, statuses: new Set(['DECLINED']) }],
  ])('by payments %s', async (_case, filter) => {
    const listings = postgresListings(noting());
    for (const [at, size] of [
      [undefined, 50],
      [cursor, 1_000],
    ] as const) {
      await listings.payments({ ...NOTHING, ...filter }, at, size);
    }
    expect(sent.length).toBeGreaterThan(1);
    expect(await scannedWhole()).toEqual([]);
  });

  test.each(['NEWEST_FIRST', 'OLDEST_FIRST'] as const)('by statements, %s', async (order) => {
    const listings = postgresListings(noting());
    const range = { accountId: 'acc-5', order, versionFrom: undefined, versionBefore: undefined };
    const whole = await listings.entries(
      { ...range, createdFrom: undefined, createdBefore: undefined },
      undefined,
      1_000,
    );
    expect(whole?.items.length).toBeGreaterThan(300);
    await listings.entries({ ...range, createdFrom: from, createdBefore: before }, 100n, 50);
    expect(await scannedWhole()).toEqual([]);
  });

  test('by snapshots, at a time and after a version', async () => {
    const listings = postgresListings(noting());
    await listings.snapshot('acc-5', { at: before });
    await listings.snapshot('acc-5', { version: 100n });
    expect(await scannedWhole()).toEqual([]);
  });

  test('by actions of a payment, and by holds that are due', async () => {
    const listings = postgresListings(noting());
    await listings.actions(uuidToUlid('00019ab1-0000-7000-8000-000000000000'), undefined, 50);
    await postgresLedger(database.application).dueHolds(256, undefined, undefined);
    expect(sent.length).toBe(3);
    expect(await scannedWhole()).toEqual([]);
  });

  test('by the actions of a batch', async () => {
    const ledger = postgresLedger(noting());
    expect(await ledger.findBatch(BATCH)).toHaveLength(9);
    expect(await scannedWhole()).toEqual([]);
  });

  test('by payments of keys', async () => {
    const ledger = postgresLedger(noting());
    expect(await ledger.findPaymentByKey({ caller: '', idempotencyKey: 'key 777' })).toBeDefined();
    expect(await scannedWhole()).toEqual([]);
  });
});
