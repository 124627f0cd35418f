import { type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccountType } from '../../src/gen/payment/v1/account.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { errorDetails } from '../support/error-details.ts';
import { allPages } from '../support/pages.ts';
import { rejection } from '../support/rejection.ts';
import { createSystem, type System } from '../support/system.ts';

let system: System;
let client: LedgerClient;

const external = AccountType.ACCOUNT_TYPE_EXTERNAL;

beforeAll(async () => {
  system = await createSystem();
  ({ client } = await system.startApi());
  for (let n = 10; n < 22; n++) await client.open(`acc-${n}`, { currency: n % 3 === 0 ? 'EUR' : 'RUB' });
  await client.open('acc-30', { type: external });
  await client.open('acc-31', { currency: 'EUR', type: external });
});
afterAll(() => system.close());

function fieldsOf(error: ServiceError) {
  expect(error.code).toBe(status.INVALID_ARGUMENT);
  return errorDetails(error).badRequest?.fieldViolations.map(({ field }) => field);
}

const list = async (request: Parameters<LedgerClient['listAccounts']>[0]) =>
  (await allPages((pageToken) => client.listAccounts({ ...request, pageToken }))).map(({ accounts }) =>
    accounts.map(({ accountId }) => accountId),
  );

describe('GetAccount', () => {
  test('answers what OpenAccount did', async () => {
    const opened = await client.open('opened', { currency: 'EUR', overdraftLimitCents: 7n });
    expect(await client.account('opened')).toEqual(opened);
    const world = await client.open('acc-30', { type: external });
    expect(await client.account('acc-30')).toEqual(world);
  });

  test('of an account that there is not: NOT_FOUND', async () => {
    const error = await rejection(client.account('nobody'));
    expect(error.code).toBe(status.NOT_FOUND);
    expect(errorDetails(error).resourceInfo).toMatchObject({ resourceType: 'Account', resourceName: 'nobody' });
  });

  test.each(['', 'a'.repeat(65), 'a\0b'])('a bad account_id is named: %j', async (accountId) => {
    expect(fieldsOf(await rejection(client.account(accountId)))).toEqual(['account_id']);
  });
});

describe('ListAccounts', () => {
  const ids = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => `acc-${from + n}`);

  test('pages go on where the one before ended, and the last one has no token', async () => {
    const pages = await list({ pageSize: 5 });
    expect(pages.slice(0, 2)).toEqual([ids(10, 14), ids(15, 19)]);
    expect(pages.flat().slice(0, 14)).toEqual([...ids(10, 21), 'acc-30', 'acc-31']);
    const [first] = (await client.listAccounts({ pageSize: 1 })).accounts;
    expect(first).toEqual(await client.account('acc-10'));
  });

  test('an account that is opened between two pages is on a later one or left out', async () => {
    const read = (pageToken: string) => client.listAccounts({ pageSize: 5, pageToken });
    const pages = await allPages(read, async (before) => {
      if (before.length > 1) return;
      await client.open('aaa');
      await client.open('acc-13-behind');
      await client.open('acc-17-ahead');
    });
    const listed = pages.flatMap(({ accounts }) => accounts.map(({ accountId }) => accountId));
    expect(new Set(listed).size).toBe(listed.length);
    expect(listed).toContain('acc-17-ahead');
    expect(listed).not.toContain('aaa');
    expect(listed).not.toContain('acc-13-behind');
    expect(listed.filter((id) => /^acc-..$/.test(id))).toEqual([...ids(10, 21), 'acc-30', 'acc-31']);
  });

  test('filters by currency, by type and by both', async () => {
    const in10to31 = async (request: Parameters<typeof list>[0]) =>
      (await list({ pageSize: 2, ...request })).flat().filter((id) => /^acc-..$/.test(id));
    expect(await in10to31({ currency: 'EUR' })).toEqual(['acc-12', 'acc-15', 'acc-18', 'acc-21', 'acc-31']);
    expect(await in10to31({ type: external })).toEqual(['acc-30', 'acc-31']);
    expect(await in10to31({ type: external, currency: 'EUR' })).toEqual(['acc-31']);
    expect(await in10to31({ currency: 'USD' })).toEqual([]);
  });

  test('a page looks at a limited number of accounts: it may be empty and still not the last', async () => {
    await system.database.query(
      `insert into accounts select 'many-' || lpad(n::text, 6, '0'), 'CHF', 'CUSTOMER', 0, now() from generate_series(1, 5000) n`,
    );
    await system.database.query(
      `insert into account_balances (account_id) select account_id from accounts where account_id like 'many-%'`,
    );
    await client.open('zzz', { currency: 'NOK' });
    const pages = await list({ currency: 'NOK' });
    expect(pages.flat()).toEqual(['zzz']);
    expect(pages.length).toBeGreaterThan(2);
    expect((await list({ currency: 'CHF', pageSize: 999 })).flat().length).toBe(5_000);
  });

  test('50 to a page unless told otherwise, and 1,000 at most', async () => {
    expect((await client.listAccounts({})).accounts.length).toBe(50);
    expect((await client.listAccounts({ pageSize: 2_000_000_000 })).accounts.length).toBe(1_000);
  });

  test.each([
    ['page_size', { pageSize: -1 }],
    ['currency', { currency: 'eur' }],
    ['type', { type: 9 as AccountType }],
    ['page_token', { pageToken: 'made up' }],
  ])('a bad %s is named', async (field, fault) => {
    expect(fieldsOf(await rejection(client.listAccounts(fault)))).toEqual([field]);
  });

  test('a token of other filters or of another list is not taken, one with another page size is', async () => {
    const { nextPageToken: pageToken } = await client.listAccounts({ pageSize: 2, currency: 'EUR' });
    expect((await client.listAccounts({ pageSize: 1, currency: 'EUR', pageToken })).accounts.length).toBe(1);
    for (const other of [{ currency: 'RUB' }, {}, { currency: 'EUR', type: external }]) {
      expect(fieldsOf(await rejection(client.listAccounts({ ...other, pageToken })))).toEqual(['page_token']);
    }
    expect(fieldsOf(await rejection(client.entries('acc-10', { pageToken })))).toEqual(['page_token']);
  });
});
