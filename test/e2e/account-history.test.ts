import { type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccountEntryOrder, AccountEntryType } from '../../src/gen/payment/v1/account.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { auditBooks } from '../support/books.ts';
import { errorDetails } from '../support/error-details.ts';
import { allPages } from '../support/pages.ts';
import { rejection } from '../support/rejection.ts';
import { createSystem, type System } from '../support/system.ts';

// Statements and balances of the past. The history of "acc": 1 is +1000, then each payment takes 10.
let system: System;
let client: LedgerClient;
let other: LedgerClient;

const ENTRIES = 25;
const OLDEST_FIRST = { order: AccountEntryOrder.ACCOUNT_ENTRY_ORDER_OLDEST_FIRST };
const pay = { payerAccountId: 'acc', payeeAccountId: 'shop', amountCents: 10n };

/** A time so many milliseconds after another. */
const later = (time: string, ms: number) => new Date(Date.parse(time) + ms).toISOString();

beforeAll(async () => {
  system = await createSystem();
  ({ client } = await system.startApi());
  ({ client: other } = await system.startApi());
  await client.openFunded('acc', 1_000n);
  await client.open('shop');
  await client.open('empty');
  for (let n = 1; n < ENTRIES; n++) {
    await client.authorize(pay);
    // So that there is a time between two entries.
    await new Promise((resume) => setTimeout(resume, 3));
  }
});
afterAll(() => system.close());

function fieldsOf(error: ServiceError) {
  expect(error.code).toBe(status.INVALID_ARGUMENT);
  return errorDetails(error).badRequest?.fieldViolations.map(({ field }) => field);
}

/** The versions of each page. */
async function versions(request: Parameters<LedgerClient['entries']>[1]): Promise<number[][]> {
  const pages = await allPages((pageToken) => client.entries('acc', { ...request, pageToken }));
  return pages.map(({ entries }) => entries.map(({ version }) => Number(version)));
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);

async function entry(version: number) {
  const { entries } = await client.entries('acc', {
    versionFrom: BigInt(version),
    versionBefore: BigInt(version + 1),
  });
  return entries[0]!;
}

describe('ListAccountEntries', () => {
  test('says what came in and went out, with whom, and the balance after it', async () => {
    const paid = await client.payment((await entry(1)).paymentId);
    expect(await entry(1)).toEqual({
      version: 1n,
      type: AccountEntryType.ACCOUNT_ENTRY_TYPE_CREDIT,
      amountCents: 1_000n,
      releasedCents: 0n,
      postedAfterCents: 1_000n,
      pendingAfterCents: 0n,
      actionId: paid?.paymentId,
      paymentId: paid?.paymentId,
      counterpartyAccountId: 'external-RUB',
      createdAt: paid?.createdAt,
    });
    expect(await entry(7)).toMatchObject({
      type: AccountEntryType.ACCOUNT_ENTRY_TYPE_DEBIT,
      amountCents: 10n,
      postedAfterCents: 940n,
      counterpartyAccountId: 'shop',
    });
  });

  test('the newest first, in pages', async () => {
    expect(await versions({ pageSize: 10 })).toEqual([
      range(16, 25).reverse(),
      range(6, 15).reverse(),
      range(1, 5).reverse(),
    ]);
    expect(await versions({ pageSize: 25 })).toEqual([range(1, 25).reverse()]);
  });

  test('the oldest first, in pages', async () => {
    expect(await versions({ pageSize: 10, ...OLDEST_FIRST })).toEqual([range(1, 10), range(11, 20), range(21, 25)]);
  });

  test('a range of versions, both ways', async () => {
    expect(await versions({ versionFrom: 5n, versionBefore: 9n })).toEqual([[8, 7, 6, 5]]);
    expect(await versions({ versionFrom: 5n, versionBefore: 9n, pageSize: 3, ...OLDEST_FIRST })).toEqual([
      [5, 6, 7],
      [8],
    ]);
    expect(await versions({ versionFrom: 24n })).toEqual([[25, 24]]);
    expect(await versions({ versionFrom: 26n })).toEqual([[]]);
    expect(await versions({ versionFrom: 9n, versionBefore: 9n })).toEqual([[]]);
    expect(await versions({ versionFrom: 2n ** 63n - 1n, versionBefore: 2n ** 63n - 1n })).toEqual([[]]);
  });

  test('a range of time: from included, before excluded', async () => {
    const [five, nine] = [(await entry(5)).createdAt, (await entry(9)).createdAt];
    expect(await versions({ createdFrom: five, createdBefore: nine })).toEqual([[8, 7, 6, 5]]);
    expect(await versions({ createdFrom: later(five, 1), createdBefore: later(nine, 1) })).toEqual([[9, 8, 7, 6]]);
    expect(await versions({ createdFrom: five, versionFrom: 7n, createdBefore: nine })).toEqual([[8, 7]]);
    expect(await versions({ createdBefore: (await entry(1)).createdAt })).toEqual([[]]);
    expect(await versions({ createdFrom: '2100-01-01T00:00:00Z' })).toEqual([[]]);
    expect((await versions({ createdFrom: '2020-01-01T00:00:00+03:00' })).flat().length).toBe(25);
  });

  test('less than a millisecond counts', async () => {
    const five = (await entry(5)).createdAt;
    const justAfter = five.replace('Z', '000001Z');
    expect(await versions({ createdFrom: justAfter, versionBefore: 8n })).toEqual([[7, 6]]);
    expect(await versions({ createdBefore: justAfter, versionFrom: 4n })).toEqual([[5, 4]]);
  });

  test('an account without entries has an empty statement, one that there is not NOT_FOUND', async () => {
    expect(await client.entries('empty')).toEqual({ entries: [], nextPageToken: '' });
    const error = await rejection(client.entries('nobody'));
    expect(error.code).toBe(status.NOT_FOUND);
    expect(errorDetails(error).resourceInfo).toMatchObject({ resourceName: 'nobody' });
  });

  test('entries that are made between two pages change none of the newest-first pages, and come last otherwise', async () => {
    await client.openFunded('busy', 100n);
    const busy = { ...pay, payerAccountId: 'busy', amountCents: 1n };
    for (let n = 0; n < 9; n++) await client.authorize(busy);
    const read = async (order: AccountEntryOrder) => {
      const pages = await allPages(
        (pageToken) => client.entries('busy', { pageSize: 4, pageToken, order }),
        (before) => (before.length === 1 ? client.authorize(busy) : Promise.resolve()),
      );
      return pages.flatMap(({ entries }) => entries.map(({ version }) => Number(version)));
    };
    expect(await read(AccountEntryOrder.ACCOUNT_ENTRY_ORDER_NEWEST_FIRST)).toEqual(range(1, 10).reverse());
    expect(await read(OLDEST_FIRST.order)).toEqual(range(1, 12));
  });

  test.each([
    ['account_id', { accountId: '' }],
    ['page_size', { pageSize: -1 }],
    ['order', { order: 3 as AccountEntryOrder }],
    ['created_from', { createdFrom: 'yesterday' }],
    ['created_from', { createdFrom: '2026-02-30T00:00:00Z' }],
    ['created_from', { createdFrom: '2026-02-03' }],
    ['created_before', { createdBefore: '2026-02-03T00:00:00' }],
    ['created_before', { createdFrom: '2026-02-03T00:00:00Z', createdBefore: '2026-02-02T00:00:00Z' }],
    ['version_from', { versionFrom: -1n }],
    ['version_before', { versionBefore: -1n }],
    ['page_token', { pageToken: 'AAAA' }],
  ])('a bad %s is named: %o', async (field, fault) => {
    expect(fieldsOf(await rejection(client.entries('acc', fault)))).toEqual([field]);
  });

  test('a token is not taken for another account, order or range', async () => {
    const { nextPageToken: pageToken } = await client.entries('acc', { pageSize: 2 });
    expect((await client.entries('acc', { pageSize: 1, pageToken })).entries[0]?.version).toBe(23n);
    const others = [OLDEST_FIRST, { versionFrom: 1n }, { versionBefore: 90n }, { createdFrom: '2026-02-03T00:00:00Z' }];
    for (const request of [...others, { accountId: 'shop' }]) {
      expect(fieldsOf(await rejection(client.entries('acc', { ...request, pageToken })))).toEqual(['page_token']);
    }
  });
});

describe('GetBalanceSnapshot', () => {
  test('before the first entry there are zeros', async () => {
    const zeros = {
      accountId: 'acc',
      availableBalanceCents: 0n,
      pendingBalanceCents: 0n,
      postedBalanceCents: 0n,
      currency: 'RUB',
      version: 0n,
      lastEntryAt: '',
    };
    const first = (await entry(1)).createdAt;
    expect(await client.snapshot('acc', { at: later(first, -1), version: undefined })).toEqual(zeros);
    expect(await client.snapshot('acc', { at: '1970-01-01T00:00:00Z', version: undefined })).toEqual(zeros);
    expect(await client.snapshot('acc', { at: undefined, version: 0n })).toEqual(zeros);
    expect(await client.snapshot('empty', { at: later(first, 1), version: undefined })).toEqual({
      ...zeros,
      accountId: 'empty',
    });
  });

  test('at the time of each entry it counts, a millisecond before it does not, nor does what comes later', async () => {
    for (const { version, postedAfterCents, createdAt } of (await client.entries('acc', { pageSize: 100 })).entries) {
      const after = { version, availableBalanceCents: postedAfterCents, lastEntryAt: createdAt };
      expect(await client.snapshot('acc', { at: createdAt, version: undefined })).toMatchObject(after);
      expect(await client.snapshot('acc', { at: later(createdAt, 1), version: undefined })).toMatchObject(after);
      expect(await client.snapshot('acc', { at: createdAt.replace('Z', '999999Z'), version: undefined })).toMatchObject(
        after,
      );
      expect(await client.snapshot('acc', { at: later(createdAt, -1), version: undefined })).toMatchObject({
        version: version - 1n,
      });
      expect(await client.snapshot('acc', { at: undefined, version })).toMatchObject(after);
    }
  });

  test('after the last entry it is the balance', async () => {
    const snapshot = await client.snapshot('acc', { at: '2100-01-01T00:00:00+01:00', version: undefined });
    expect(snapshot).toMatchObject({ version: BigInt(ENTRIES), lastEntryAt: (await entry(ENTRIES)).createdAt });
    expect(snapshot.availableBalanceCents).toBe((await client.balance('acc')).availableBalanceCents);
  });

  test.each([
    ['an account that there is not', 'nobody', 'Account', 'nobody'],
    ['a version that the account has not reached', 'acc', 'AccountEntry', 'acc/1000'],
  ])('%s: NOT_FOUND', async (_case, accountId, resourceType, resourceName) => {
    const error = await rejection(client.snapshot(accountId, { at: undefined, version: 1_000n }));
    expect(error.code).toBe(status.NOT_FOUND);
    expect(errorDetails(error).resourceInfo).toMatchObject({ resourceType, resourceName });
  });

  test.each([
    ['account_id', '', { at: undefined, version: 1n }],
    ['at', 'acc', { at: 'now', version: undefined }],
    ['at', 'acc', { at: '', version: undefined }],
    ['version', 'acc', { at: undefined, version: -1n }],
    ['point', 'acc', { at: undefined, version: undefined }],
  ])('a bad %s is named', async (field, accountId, point) => {
    expect(fieldsOf(await rejection(client.snapshot(accountId, point)))).toEqual([field]);
  });
});

describe('the times of an account', () => {
  const disorder = `
    select account_id, version from (
      select account_id, version, created_at, lag(created_at) over (partition by account_id order by version) as before
      from ledger_entries) as entry
    where created_at < before`;

  test('never fall along its versions, however many transactions on two replicas wait for it', async () => {
    await client.openFunded('contended', 10_000n);
    const contended = { ...pay, payerAccountId: 'contended', amountCents: 1n };
    await Promise.all(Array.from({ length: 400 }, (_, n) => (n % 2 === 0 ? client : other).authorize(contended)));
    expect(await system.database.query(disorder)).toEqual([]);
  });

  test('go on from the last entry, should the clock of Postgres have gone back', async () => {
    await client.openFunded('ahead', 100n);
    const future = new Date(Date.now() + 3_600_000);
    await system.database.query(`update account_balances set last_entry_at = $1 where account_id = 'ahead'`, [future]);
    const { paymentId, processedAt } = await client.authorize({ ...pay, payerAccountId: 'ahead', amountCents: 1n });
    expect(processedAt).toBe(future.toISOString());
    expect((await client.payment(paymentId))?.createdAt).toBe(processedAt);
    expect(await system.database.query(disorder)).toEqual([]);
    expect(await auditBooks(system.database)).toEqual([]);
  });
});
