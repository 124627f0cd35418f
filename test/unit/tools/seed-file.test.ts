import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AccountType } from '../../../src/gen/payment/v1/account.ts';
import { readSeedFile } from '../../../tools/seed/seed-file.ts';
import { rejectForeignServers, startOptions } from '../../../tools/seed/start-seeded.ts';

function file(text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'payment-ledger-seed-')), 'seed.json');
  writeFileSync(path, text);
  return path;
}

const seed = (...accounts: object[]) => readSeedFile(file(JSON.stringify({ accounts })));

test('accounts are CUSTOMER accounts with nothing unless told otherwise', async () => {
  expect(
    await seed(
      { account_id: 'a', currency: 'EUR' },
      { account_id: 'b', currency: 'EUR', balance_cents: '9007199254740993', overdraft_limit_cents: 7 },
      { account_id: 'c', currency: 'EUR', type: 'EXTERNAL' },
    ),
  ).toEqual([
    {
      accountId: 'a',
      currency: 'EUR',
      type: AccountType.ACCOUNT_TYPE_CUSTOMER,
      overdraftLimitCents: 0n,
      balanceCents: 0n,
    },
    {
      accountId: 'b',
      currency: 'EUR',
      type: AccountType.ACCOUNT_TYPE_CUSTOMER,
      overdraftLimitCents: 7n,
      balanceCents: 9_007_199_254_740_993n,
    },
    {
      accountId: 'c',
      currency: 'EUR',
      type: AccountType.ACCOUNT_TYPE_EXTERNAL,
      overdraftLimitCents: 0n,
      balanceCents: 0n,
    },
  ]);
});

test.each([
  ['accounts.0.account_id', { currency: 'EUR' }],
  ['accounts.0.currency', { account_id: 'a' }],
  ['accounts.0.type', { account_id: 'a', currency: 'EUR', type: 'BANK' }],
  ['accounts.0.balance_cents', { account_id: 'a', currency: 'EUR', balance_cents: 1.5 }],
  ['accounts.0.balance_cents', { account_id: 'a', currency: 'EUR', balance_cents: -1 }],
  ['accounts.0.balance_cents', { account_id: 'a', currency: 'EUR', balance_cents: '1e3' }],
  ['accounts.0.balance_cents', { account_id: 'a', currency: 'EUR', type: 'EXTERNAL', balance_cents: 1 }],
  ['"balance"', { account_id: 'a', currency: 'EUR', balance: 1 }],
])('%s is named if it is wrong', async (name, account) => {
  await expect(seed(account)).rejects.toThrow(name);
});

test.each([
  ['cannot be read', '/nowhere/seed.json'],
  ['is not JSON', file('{')],
])('a file that %s is named', async (what, path) => {
  await expect(readSeedFile(path)).rejects.toThrow(`--seed ${path} ${what}`);
});

describe('npm start', () => {
  test('takes a seed and a port', () => {
    expect(startOptions([])).toEqual({ seed: undefined, controlPort: 50052 });
    expect(startOptions(['--seed', 'x.json', '--control-port', '0'])).toEqual({ seed: 'x.json', controlPort: 0 });
  });

  test.each([
    ['--sed', ['--sed', 'x.json']],
    ['--control-port', ['--seed', 'x.json', '--control-port', 'http']],
    ['--control-port', ['--control-port', '7000']],
  ])('names %s if it is wrong', (name, args) => {
    expect(() => startOptions(args)).toThrow(name);
  });

  test.each(['DATABASE_URL', 'REDIS_URL', 'KAFKA_BROKERS'])('does not empty what %s names', (variable) => {
    expect(() => rejectForeignServers({ [variable]: 'somewhere' })).toThrow(variable);
  });
});
