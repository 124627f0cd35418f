import { afterAll, beforeAll, expect, test } from 'vitest';
import { rejectForeignAccounts, START_ACCOUNTS } from '../../tools/foreign-accounts.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.close());

const open = (accountId: string) =>
  database.query(`insert into accounts values ($1, 'RUB', 'CUSTOMER', 0, now())`, [accountId]);

test('starts in a database whose accounts are its own, and in no other unless told to', async () => {
  await rejectForeignAccounts(database.url, {});
  for (const account of START_ACCOUNTS.customers) await open(account);
  await rejectForeignAccounts(database.url, {});
  await open('somebody');
  await expect(rejectForeignAccounts(database.url, {})).rejects.toThrow(/somebody.*ALLOW_FOREIGN_ACCOUNTS=1/);
  await rejectForeignAccounts(database.url, { ALLOW_FOREIGN_ACCOUNTS: '1' });
});
