import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toAccountMessage } from '../../src/api/handlers/account-message.ts';
import { toActionMessage } from '../../src/api/handlers/action-message.ts';
import { toPaymentMessage } from '../../src/api/handlers/payment-message.ts';
import { PAYMENT_STATUSES } from '../../src/app/domain/payment-balance.ts';
import type { Listings, Page, PaymentCursor, PaymentFilter } from '../../src/app/listings.ts';
import { lowestUlid, ulidToUuid, uuidToUlid } from '../../src/app/ulid.ts';
import { Account } from '../../src/gen/payment/v1/account.ts';
import { Payment, PaymentAction } from '../../src/gen/payment/v1/payment.ts';
import { postgresListings } from '../../src/infra/postgres/payments/listings.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

// The largest items there can be, in lists of more than any client would receive at once.
const COUNT = 120;
/** What gRPC clients receive by default. */
const CLIENT_BYTES = 4 * 1_024 * 1_024;
const HOLD = ulidToUuid(lowestUlid(1_764_000_000_000));

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.query(`
    set session_replication_role = replica;
    create table noted as
      select n, ('019ab1' || lpad(to_hex(n), 26, '0'))::uuid as id, repeat('🧾', 56) || lpad(n::text, 8, '0') as account,
        repeat('🧾', 1000) as description, repeat('🧾', 255) as reference,
        (select jsonb_object_agg(repeat('🧾', 38) || lpad(k::text, 2, '0'), repeat(case when n % 2 = 0 then '🧾' else '"' end, 500))
          from generate_series(1, 20) k) as metadata
      from generate_series(1, ${COUNT}) n;
    insert into accounts select account, 'RUB', 'CUSTOMER', 0, now() from noted;
    insert into account_balances (account_id, currency, available_cents, version)
      select account, 'RUB', 0, case n when 1 then ${COUNT / 2} else 0 end from noted;
    insert into account_changes (change_id, account_id, revision, kind, overdraft_limit_cents, debits_frozen,
        credits_frozen, metadata, reason, caller, created_at)
      select id, account, 1, 'OPENED', 0, false, false, metadata, '', '', now() from noted;
    insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
        reference, metadata, decline_code, decline_message, payer_version, payee_version, created_at)
      select id, first.account, case noted.n when 1 then 'z' else noted.account end, 9223372036854775807, 'RUB',
        case when noted.n % 2 = 0 then 'DECLINED' else 'AUTHORIZED' end::payment_status, noted.description, noted.reference,
        noted.metadata, case when noted.n % 2 = 0 then 'CURRENCY_MISMATCH' end, case when noted.n % 2 = 0 then noted.account end,
        case when noted.n % 2 = 1 then (noted.n + 1) / 2 end, case when noted.n % 2 = 1 then 1 end, now()
      from noted, (select account from noted where n = 1) first;
    insert into ledger_entries (account_id, version, payment_id, direction, amount_cents, balance_after_cents, created_at,
        released_cents, pending_after_cents)
      select payer_account_id, payer_version, payment_id, 'DEBIT', 1, 0, now(), null, null from payments where status = 'AUTHORIZED';
    insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
        metadata, payer_version, created_at, kind, expires_at)
      select '${HOLD}', 'a', 'b', 1, 'RUB', 'AUTHORIZED', '', null, 1, now(), 'HOLD', now() + interval '1 day';
    insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
        reference, metadata, decline_code, decline_message, created_at, kind, parent_id, keep_remainder)
      select overlay(id::text placing '2' from 8 for 1)::uuid, 'a', 'b', 1, 'RUB', 'DECLINED', description, reference, metadata,
        'PAYMENT_NOT_HELD', 'not held', now(), 'CAPTURE', '${HOLD}', true
      from noted;
    set session_replication_role = default`);
  await database.query('analyze');
}, 120_000);
afterAll(() => database.close());

const ACCOUNT = `${'🧾'.repeat(56)}00000001`;
const ALL: PaymentFilter = {
  accountId: undefined,
  role: undefined,
  statuses: new Set(PAYMENT_STATUSES),
  reference: undefined,
  batchId: undefined,
  createdFrom: undefined,
  createdBefore: undefined,
};

interface Listed {
  readonly id: string;
  /** As part of an answer. */
  readonly bytes: number;
}

async function payments(listings: Listings, filter: Partial<PaymentFilter>, cursor: unknown, size: number) {
  const page = await listings.payments({ ...ALL, ...filter }, cursor as PaymentCursor | undefined, size);
  return of(page, (payment) => ({ id: payment.paymentId, bytes: sizeOf(Payment.encode(toPaymentMessage(payment))) }));
}

function of<Item>({ items, next }: Page<Item, unknown>, listed: (item: Item) => Listed): Page<Listed, unknown> {
  return { items: items.map(listed), next };
}

const sizeOf = (message: { finish(): Uint8Array }) => message.finish().length;

const LISTS: [string, (listings: Listings, cursor: unknown, size: number) => Promise<Page<Listed, unknown>>, number][] =
  [
    ['payments of an account', (listings, at, size) => payments(listings, { accountId: ACCOUNT }, at, size), COUNT],
    [
      'declined payments of an account',
      (listings, at, size) => payments(listings, { accountId: ACCOUNT, statuses: new Set(['DECLINED']) }, at, size),
      COUNT / 2,
    ],
    [
      'payments with a reference',
      (listings, at, size) => payments(listings, { reference: '🧾'.repeat(255) }, at, size),
      COUNT,
    ],
    [
      'payments of a time',
      (listings, at, size) => payments(listings, { createdFrom: new Date(0) }, at, size),
      COUNT + 1,
    ],
    [
      'actions',
      async (listings, at, size) => {
        const page = await listings.actions(uuidToUlid(HOLD), at as string | undefined, size);
        return of(page, (action) => ({
          id: action.actionId,
          bytes: sizeOf(PaymentAction.encode(toActionMessage(action))),
        }));
      },
      COUNT + 1,
    ],
    [
      'accounts',
      async (listings, at, size) => {
        const page = await listings.accounts({ currency: undefined, type: undefined }, at as string | undefined, size);
        return of(page, (account) => ({
          id: account.accountId,
          bytes: sizeOf(Account.encode(toAccountMessage(account))),
        }));
      },
      COUNT,
    ],
  ];

describe.each(LISTS)('%s', (_list, read, count) => {
  test('come whole and once, by pages that a client of gRPC receives', async () => {
    const { pages, ids } = await readAll(read, postgresListings(database.application), 1_000);
    expect(new Set(ids).size).toBe(count);
    expect(ids).toHaveLength(count);
    for (const page of pages) expect(bytesOf(page)).toBeLessThan(CLIENT_BYTES * 0.75);
    // Not shorter than need be: half of the items have two-byte escapes where a message has one byte.
    expect(pages.length).toBeLessThan(8);
  });

  test('come one by one where an answer may be smaller than any of them', async () => {
    const { pages, ids } = await readAll(read, postgresListings(database.application, 8_192), 1_000);
    expect(new Set(ids).size).toBe(count);
    expect(ids).toHaveLength(count);
    expect(Math.max(...pages.map(({ length }) => length))).toBe(1);
  });
});

test('entries of an account need no more bytes than a small answer has', async () => {
  const range = {
    accountId: ACCOUNT,
    order: 'NEWEST_FIRST',
    createdFrom: undefined,
    createdBefore: undefined,
  } as const;
  const versions = { versionFrom: undefined, versionBefore: undefined };
  const page = await postgresListings(database.application, 8_192).entries({ ...range, ...versions }, undefined, 1_000);
  expect(page).toMatchObject({ items: { length: 15 }, next: BigInt(COUNT / 2 - 15) });
});

async function readAll(read: (typeof LISTS)[number][1], listings: Listings, size: number) {
  const pages: (readonly Listed[])[] = [];
  let next: unknown;
  do {
    const page = await read(listings, next, size);
    pages.push(page.items);
    next = page.next;
  } while (next !== undefined && pages.length < 1_000);
  return { pages, ids: pages.flat().map(({ id }) => id) };
}

function bytesOf(page: readonly Listed[]): number {
  return page.reduce((sum, { bytes }) => sum + bytes, 0);
}
