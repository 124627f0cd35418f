import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ChangeRefusedError,
  EtagMismatchError,
  InvalidRequestError,
  type LedgerClient,
  NotFoundError,
  newIdempotencyKey,
} from '../../packages/client/src/index.ts';
import { all, failure, newPayment, openPair, patientClient } from '../support/client.ts';
import { createSystem, type System } from '../support/system.ts';

// Changes of accounts, and what they hold, by packages/client.

let system: System;
let ledger: LedgerClient;

beforeAll(async () => {
  system = await createSystem();
  ledger = patientClient((await system.startApi()).address);
  await openPair(ledger, 1_000n);
});
afterAll(async () => {
  ledger?.close();
  await system?.close();
});

let opened = 0;

async function newAccount() {
  opened += 1;
  return ledger.openAccount({ accountId: `account-${opened}`, currency: 'RUB' });
}

describe('an account', () => {
  test('is updated: what is given, and nothing else', async () => {
    const account = await newAccount();
    expect(account).toMatchObject({ state: 'ACTIVE', debitsFrozen: false, creditsFrozen: false, metadata: {} });
    const limited = await ledger.updateAccount(account.accountId, { overdraftLimitCents: 50n, reason: 'a good one' });
    expect(limited).toEqual({ ...account, overdraftLimitCents: 50n, etag: expect.any(String) });
    expect(limited.etag).not.toBe(account.etag);
    const noted = await ledger.updateAccount(account.accountId, { metadata: { tier: 'gold' } });
    expect(noted).toEqual({ ...limited, metadata: { tier: 'gold' }, etag: noted.etag });
    expect(await ledger.getAccount(account.accountId)).toEqual(noted);
    const [change] = await system.database.query<{ reason: string }>(
      'select reason from account_changes where account_id = $1 and revision = 2',
      [account.accountId],
    );
    expect(change?.reason).toBe('a good one');
  });

  test('is frozen in one direction or both, and free again', async () => {
    const { accountId } = await newAccount();
    expect(await ledger.freezeAccount(accountId, { only: 'DEBITS' })).toMatchObject({
      state: 'FROZEN',
      debitsFrozen: true,
      creditsFrozen: false,
    });
    expect(await ledger.freezeAccount(accountId)).toMatchObject({ debitsFrozen: true, creditsFrozen: true });
    expect(await ledger.unfreezeAccount(accountId, { only: 'DEBITS' })).toMatchObject({
      debitsFrozen: false,
      creditsFrozen: true,
    });
    expect(await failure(ledger.authorizePayment({ ...newPayment(1n), payeeAccountId: accountId }))).toMatchObject({
      name: 'PaymentDeclinedError',
      code: 'ACCOUNT_FROZEN',
    });
    expect(await ledger.unfreezeAccount(accountId)).toMatchObject({ state: 'ACTIVE' });
  });

  test('is not frozen by a word that is none', async () => {
    const { accountId } = await newAccount();
    const only = 'debits' as 'DEBITS';
    expect(await failure(ledger.freezeAccount(accountId, { only }))).toBeInstanceOf(TypeError);
    expect((await ledger.getAccount(accountId)).state).toBe('ACTIVE');
  });

  test('is closed for good, once it is empty', async () => {
    const { accountId } = await newAccount();
    await ledger.authorizePayment({ ...newPayment(1n), payeeAccountId: accountId });
    const refused = await failure(ledger.closeAccount(accountId));
    expect(refused).toBeInstanceOf(ChangeRefusedError);
    expect(refused).toMatchObject({ reason: 'ACCOUNT_NOT_EMPTY' });
    await ledger.authorizePayment({ ...newPayment(1n), payerAccountId: accountId });
    expect((await ledger.closeAccount(accountId, { reason: 'asked for' })).state).toBe('CLOSED');
    expect(await failure(ledger.unfreezeAccount(accountId))).toMatchObject({ reason: 'ACCOUNT_CLOSED' });
  });

  test('is not changed once it has changed since it was read', async () => {
    const { accountId, etag } = await newAccount();
    await ledger.freezeAccount(accountId, { etag });
    const calls = [
      ledger.updateAccount(accountId, { overdraftLimitCents: 1n, etag }),
      ledger.unfreezeAccount(accountId, { etag }),
      ledger.closeAccount(accountId, { etag }),
    ];
    for (const error of await Promise.all(calls.map(failure))) expect(error).toBeInstanceOf(EtagMismatchError);
    expect(await ledger.getAccount(accountId)).toMatchObject({ state: 'FROZEN', overdraftLimitCents: 0n });
  });

  test('that there is not cannot be changed, and a change must change something', async () => {
    const calls = [
      ledger.updateAccount('none', { overdraftLimitCents: 1n }),
      ledger.freezeAccount('none'),
      ledger.unfreezeAccount('none'),
      ledger.closeAccount('none'),
    ];
    for (const error of await Promise.all(calls.map(failure))) expect(error).toBeInstanceOf(NotFoundError);
    expect(await failure(ledger.updateAccount('payer', {}))).toBeInstanceOf(InvalidRequestError);
  });
});

test('accounts are listed over pages, and by currency and type', async () => {
  const ids = Array.from({ length: 60 }, (_, i) => `usd-${String(i).padStart(2, '0')}`);
  for (const accountId of ids) await ledger.openAccount({ accountId, currency: 'USD' });
  const listed = await all(ledger.listAccounts({ currency: 'USD' }));
  expect(listed.map(({ accountId }) => accountId)).toEqual(ids);
  expect(await all(ledger.listAccounts({ type: 'EXTERNAL' }))).toEqual([await ledger.getAccount('world')]);
  expect((await all(ledger.listAccounts())).length).toBeGreaterThan(60);
});

test('balances say what is on hold, and what an account held before', async () => {
  const before = await ledger.getBalance('payer');
  const { payment } = await ledger.holdPayment(newPayment(100n));
  const held = await ledger.getBalance('payer');
  expect(held).toEqual({
    ...before,
    availableBalanceCents: before.availableBalanceCents - 100n,
    pendingBalanceCents: 100n,
    version: before.version + 1n,
  });
  expect((await ledger.getBalance('payee')).incomingPendingCents).toBe(100n);
  await ledger.capturePayment({ idempotencyKey: newIdempotencyKey(), paymentId: payment.paymentId, amountCents: 60n });

  const [debit, hold] = await all(ledger.listEntries('payer', { versionFrom: held.version }));
  expect(hold).toMatchObject({ type: 'HOLD', amountCents: 100n, pendingAfterCents: 100n });
  expect(debit).toMatchObject({
    type: 'DEBIT',
    amountCents: 60n,
    releasedCents: 40n,
    pendingAfterCents: 0n,
    paymentId: payment.paymentId,
  });
  expect(debit!.actionId).not.toBe(payment.paymentId);

  const { incomingPendingCents: _, ...then } = held;
  const snapshot = await ledger.getBalanceSnapshot('payer', { version: held.version });
  expect(snapshot).toEqual({ ...then, lastEntryAt: hold!.createdAt });
  expect(await ledger.getBalanceSnapshot('payer', { at: '2020-01-01T00:00:00Z' })).toMatchObject({
    postedBalanceCents: 0n,
    version: 0n,
    lastEntryAt: undefined,
  });
  expect(await failure(ledger.getBalanceSnapshot('payer', { version: 99n }))).toBeInstanceOf(NotFoundError);
});
