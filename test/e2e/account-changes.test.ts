import { randomUUID } from 'node:crypto';
import { type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Account_State, AccountType } from '../../src/gen/payment/v1/account.ts';
import { PaymentErrorCode, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { errorDetails } from '../support/error-details.ts';
import { rejection } from '../support/rejection.ts';
import { type ApiProcess, createSystem, type System } from '../support/system.ts';

let system: System;
let api: ApiProcess;
let client: LedgerClient;
let account: string;
let other: string;

const { STATE_ACTIVE, STATE_FROZEN, STATE_CLOSED } = Account_State;

beforeAll(async () => {
  system = await createSystem();
  api = await system.startApi({ LOG_LEVEL: 'debug' });
  ({ client } = api);
});
afterAll(() => system.close());

/** Two accounts, each with 1,000. */
beforeEach(async () => {
  [account, other] = [randomUUID(), randomUUID()];
  await client.openFunded(account, 1_000n);
  await client.openFunded(other, 1_000n);
});

const pay = (payerAccountId: string, payeeAccountId: string, amountCents = 1n) =>
  client.authorize({ payerAccountId, payeeAccountId, amountCents });

async function declineOf(payment: ReturnType<typeof pay>): Promise<string> {
  const { error } = await payment;
  return error === undefined
    ? ''
    : (Object.entries(PaymentErrorCode).find(([, code]) => code === error.code)?.[0] ?? 'unknown');
}

const FROZEN = 'PAYMENT_ERROR_CODE_ACCOUNT_FROZEN';
const CLOSED = 'PAYMENT_ERROR_CODE_ACCOUNT_CLOSED';

async function empty(accountId: string): Promise<void> {
  const { availableBalanceCents } = await client.balance(accountId);
  expect(await declineOf(pay(accountId, 'external-RUB', availableBalanceCents))).toBe('');
}

interface Change {
  kind: string;
  revision: string;
  limit: string;
  frozen: string;
  metadata: Record<string, string> | null;
  reason: string;
  caller: string;
}

function historyOf(accountId: string) {
  return system.database.query<Change>(
    `select kind::text, revision::text, overdraft_limit_cents::text as "limit",
       concat_ws(' ', case when debits_frozen then 'debits' end, case when credits_frozen then 'credits' end) as frozen,
       metadata, reason, caller
     from account_changes where account_id = $1 order by revision`,
    [accountId],
  );
}

/** The account's events in the outbox, which no relay empties here. */
function eventsOf(accountId: string) {
  return system.database.query<{ type: string; payload: Record<string, unknown>; headers: object; same: boolean }>(
    `select type, payload, headers, outbox.id = account_changes.change_id
         and outbox.created_at = account_changes.created_at as same
     from outbox left join account_changes on change_id = outbox.id
     where aggregatetype = 'account' and aggregateid = $1 order by position`,
    [accountId],
  );
}

function reasonOf(error: ServiceError) {
  return { code: error.code, reason: errorDetails(error).errorInfo?.reason };
}

const refused = (code: status, reason: string) => ({ code, reason });

/** The change is refused so, and leaves nothing behind: neither in the account nor in its history nor an event. */
async function expectRefused(change: () => Promise<unknown>, expected: ReturnType<typeof refused>) {
  const before = [await client.account(account), await historyOf(account), await eventsOf(account)];
  const error = await rejection(change());
  expect(reasonOf(error)).toEqual(expected);
  expect(errorDetails(error).resourceInfo).toMatchObject({ resourceType: 'Account', resourceName: account });
  expect([await client.account(account), await historyOf(account), await eventsOf(account)]).toEqual(before);
}

describe('OpenAccount', () => {
  test('tells of the account in history and event, once', async () => {
    await client.open('fresh', { overdraftLimitCents: 5n });
    await client.open('fresh', { overdraftLimitCents: 5n });
    expect(await historyOf('fresh')).toMatchObject([{ kind: 'OPENED', revision: '1', limit: '5', frozen: '' }]);
    const opened = await client.account('fresh');
    expect(opened).toMatchObject({ state: STATE_ACTIVE, debitsFrozen: false, creditsFrozen: false, metadata: {} });
    const [event, ...more] = await eventsOf('fresh');
    expect(more).toEqual([]);
    expect(event).toMatchObject({
      type: 'account.opened.v1',
      same: true,
      payload: {
        accountId: 'fresh',
        revision: '1',
        currency: 'RUB',
        type: 'ACCOUNT_TYPE_CUSTOMER',
        overdraftLimitCents: '5',
        state: 'STATE_ACTIVE',
        changedAt: opened?.openedAt,
      },
    });
  });

  test('many at a time open one account and tell of it once', async () => {
    const opened = await Promise.all(Array.from({ length: 10 }, () => client.open('contested')));
    expect(new Set(opened.map((each) => each?.openedAt)).size).toBe(1);
    expect(await historyOf('contested')).toHaveLength(1);
    expect(await eventsOf('contested')).toHaveLength(1);
  });

  test('again after changes: the account as it is now, compared with what it was opened as', async () => {
    await client.updateAccount(account, { overdraftLimitCents: 70n });
    await client.freeze(account);
    const again = await client.open(account);
    expect(again).toMatchObject({ overdraftLimitCents: 70n, state: STATE_FROZEN });
    const error = await rejection(client.open(account, { overdraftLimitCents: 70n }));
    expect(reasonOf(error)).toEqual(refused(status.ALREADY_EXISTS, 'ACCOUNT_EXISTS'));
  });
});

describe('UpdateAccount', () => {
  test('a higher overdraft limit counts for the next payment', async () => {
    expect(await declineOf(pay(account, other, 1_050n))).toBe('PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS');
    expect(await client.updateAccount(account, { overdraftLimitCents: 50n })).toMatchObject({
      overdraftLimitCents: 50n,
    });
    expect(await declineOf(pay(account, other, 1_050n))).toBe('');
    expect(await client.account(account)).toMatchObject({ overdraftLimitCents: 50n });
  });

  test('a lower overdraft limit counts for the next payment', async () => {
    await client.updateAccount(account, { overdraftLimitCents: 50n });
    await client.updateAccount(account, { overdraftLimitCents: 0n });
    expect(await declineOf(pay(account, other, 1_001n))).toBe('PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS');
  });

  test('an overdraft limit below what is used: FAILED_PRECONDITION', async () => {
    await client.updateAccount(account, { overdraftLimitCents: 50n });
    await pay(account, other, 1_040n);
    const lower = () => client.updateAccount(account, { overdraftLimitCents: 39n });
    await expectRefused(lower, refused(status.FAILED_PRECONDITION, 'OVERDRAFT_IN_USE'));
    await client.updateAccount(account, { overdraftLimitCents: 40n });
  });

  test('an overdraft limit of an EXTERNAL account: FAILED_PRECONDITION; the 0 that it reads as is no change', async () => {
    account = 'external-RUB';
    const limit = () => client.updateAccount(account, { overdraftLimitCents: 1n });
    await expectRefused(limit, refused(status.FAILED_PRECONDITION, 'EXTERNAL_HAS_NO_LIMIT'));
    const before = await client.account(account);
    expect(await client.updateAccount(account, { overdraftLimitCents: 0n })).toEqual(before);
    const noted = await client.updateAccount(account, { overdraftLimitCents: 0n, metadata: { bank: 'one' } });
    expect(noted).toMatchObject({ metadata: { bank: 'one' }, type: AccountType.ACCOUNT_TYPE_EXTERNAL });
    await client.updateAccount(account, { metadata: {} });
  });

  test('metadata is replaced as a whole, and the rest stays', async () => {
    await client.updateAccount(account, { overdraftLimitCents: 7n, metadata: { tier: 'gold', note: '' } });
    expect(await client.account(account)).toMatchObject({
      overdraftLimitCents: 7n,
      metadata: { tier: 'gold', note: '' },
    });
    expect(await client.updateAccount(account, { metadata: { region: 'north' } })).toMatchObject({
      overdraftLimitCents: 7n,
      metadata: { region: 'north' },
    });
    expect((await client.updateAccount(account, { metadata: {} }))?.metadata).toEqual({});
    expect((await historyOf(account)).map(({ metadata }) => metadata)).toEqual([
      null,
      { tier: 'gold', note: '' },
      { region: 'north' },
      null,
    ]);
  });

  test('what the mask leaves out is not changed, whatever the request has', async () => {
    const call = (updateMask: string[]) =>
      new Promise((resolve, reject) =>
        client.accounts.updateAccount(
          {
            account: {
              ...ASKED,
              accountId: account,
              overdraftLimitCents: 9n,
              metadata: { a: 'b' },
              debitsFrozen: true,
            },
            updateMask,
            reason: '',
          },
          (error, response) => (error === null ? resolve(response.account) : reject(error)),
        ),
      );
    expect(await call(['metadata'])).toMatchObject({
      overdraftLimitCents: 0n,
      metadata: { a: 'b' },
      debitsFrozen: false,
    });
    expect(await call(['*'])).toMatchObject({ overdraftLimitCents: 9n, metadata: { a: 'b' }, state: STATE_ACTIVE });
  });
});

/** An Account as a caller sends it, who fills in what the mask names. */
const ASKED = {
  currency: 'EUR',
  type: AccountType.ACCOUNT_TYPE_EXTERNAL,
  openedAt: '',
  state: STATE_CLOSED,
  debitsFrozen: false,
  creditsFrozen: false,
  etag: '',
};

describe('FreezeAccount', () => {
  test('debits: it cannot pay and can be paid', async () => {
    expect(await client.freeze(account, { debits: true })).toMatchObject({
      state: STATE_FROZEN,
      debitsFrozen: true,
      creditsFrozen: false,
    });
    expect(await declineOf(pay(account, other))).toBe(FROZEN);
    expect(await declineOf(pay(other, account))).toBe('');
  });

  test('credits: it can pay and cannot be paid', async () => {
    await client.freeze(account, { credits: true });
    expect(await declineOf(pay(other, account))).toBe(FROZEN);
    expect(await declineOf(pay(account, other))).toBe('');
  });

  test('neither named: both', async () => {
    expect(await client.freeze(account)).toMatchObject({ debitsFrozen: true, creditsFrozen: true });
    expect(await declineOf(pay(other, account))).toBe(FROZEN);
    expect(await declineOf(pay(account, other))).toBe(FROZEN);
    expect(await client.balance(account)).toMatchObject({ availableBalanceCents: 1_000n });
  });

  test('credits after debits: both', async () => {
    await client.freeze(account, { debits: true });
    expect(await client.freeze(account, { credits: true })).toMatchObject({ debitsFrozen: true, creditsFrozen: true });
  });

  test('a payment that is declined for it is stored, and its key used', async () => {
    await client.freeze(account);
    const request = { idempotencyKey: randomUUID(), payerAccountId: account, payeeAccountId: other, amountCents: 1n };
    const declined = await client.authorize(request);
    expect(await client.payment(declined.paymentId)).toMatchObject({
      status: PaymentStatus.PAYMENT_STATUS_DECLINED,
      error: { code: PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_FROZEN },
    });
    await client.unfreeze(account);
    expect(await client.authorize(request)).toMatchObject({
      paymentId: declined.paymentId,
      status: PaymentStatus.PAYMENT_STATUS_DUPLICATE,
      error: { code: PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_FROZEN },
    });
  });

  test('a payment made before is still the answer to its key', async () => {
    const request = { idempotencyKey: randomUUID(), payerAccountId: account, payeeAccountId: other, amountCents: 1n };
    const paid = await client.authorize(request);
    await client.freeze(account);
    expect(await client.authorize(request)).toMatchObject({
      paymentId: paid.paymentId,
      status: PaymentStatus.PAYMENT_STATUS_DUPLICATE,
      originalStatus: PaymentStatus.PAYMENT_STATUS_AUTHORIZED,
    });
  });

  test('of an EXTERNAL account keeps money from coming in', async () => {
    await client.freeze('external-RUB', { debits: true });
    expect(await declineOf(pay('external-RUB', account))).toBe(FROZEN);
    await client.unfreeze('external-RUB');
    expect(await declineOf(pay('external-RUB', account))).toBe('');
  });
});

describe('UnfreezeAccount', () => {
  test.each([
    [{}, { debitsFrozen: false, creditsFrozen: false, state: STATE_ACTIVE }],
    [{ debits: true }, { debitsFrozen: false, creditsFrozen: true, state: STATE_FROZEN }],
    [{ credits: true }, { debitsFrozen: true, creditsFrozen: false, state: STATE_FROZEN }],
  ])('%j of an account that is frozen both ways', async (request, expected) => {
    await client.freeze(account);
    expect(await client.unfreeze(account, request)).toMatchObject(expected);
    expect(await declineOf(pay(account, other))).toBe(expected.debitsFrozen ? FROZEN : '');
    expect(await declineOf(pay(other, account))).toBe(expected.creditsFrozen ? FROZEN : '');
  });
});

describe('CloseAccount', () => {
  test('with balances of zero: closed, readable, and payments to it and from it are declined', async () => {
    await empty(account);
    expect(await client.closeAccount(account)).toMatchObject({ state: STATE_CLOSED });
    expect(await client.account(account)).toMatchObject({ state: STATE_CLOSED });
    expect(await declineOf(pay(other, account))).toBe(CLOSED);
    expect(await declineOf(pay(account, other))).toBe(CLOSED);
    expect(await client.balance(account)).toMatchObject({ availableBalanceCents: 0n });
    expect((await client.entries(account)).entries).toHaveLength(2);
  });

  test('while it holds money: FAILED_PRECONDITION', async () => {
    await expectRefused(() => client.closeAccount(account), refused(status.FAILED_PRECONDITION, 'ACCOUNT_NOT_EMPTY'));
  });

  test('while it owes money: FAILED_PRECONDITION', async () => {
    await client.updateAccount(account, { overdraftLimitCents: 5n });
    await pay(account, other, 1_005n);
    await expectRefused(() => client.closeAccount(account), refused(status.FAILED_PRECONDITION, 'ACCOUNT_NOT_EMPTY'));
  });

  test('while it is frozen: closed, and it says both', async () => {
    await empty(account);
    await client.freeze(account, { credits: true });
    expect(await client.closeAccount(account)).toMatchObject({ state: STATE_CLOSED, creditsFrozen: true });
    expect(await declineOf(pay(other, account))).toBe(CLOSED);
  });

  test.each<[string, () => Promise<unknown>]>([
    ['UpdateAccount', () => client.updateAccount(account, { overdraftLimitCents: 1n })],
    ['UpdateAccount to what it is', () => client.updateAccount(account, { overdraftLimitCents: 0n })],
    ['FreezeAccount', () => client.freeze(account)],
    ['UnfreezeAccount', () => client.unfreeze(account)],
  ])('is final: %s is FAILED_PRECONDITION afterwards', async (_method, change) => {
    await empty(account);
    await client.closeAccount(account);
    await expectRefused(change, refused(status.FAILED_PRECONDITION, 'ACCOUNT_CLOSED'));
  });
});

describe('etag', () => {
  const changes: [string, (etag: string) => Promise<{ etag: string } | undefined>][] = [
    ['UpdateAccount', (etag) => client.updateAccount(account, { etag, overdraftLimitCents: 12n })],
    ['FreezeAccount', (etag) => client.freeze(account, { etag })],
    ['UnfreezeAccount', (etag) => client.unfreeze(account, { etag })],
    ['CloseAccount', (etag) => client.closeAccount(account, { etag })],
  ];

  beforeEach(async () => {
    await empty(account);
    await client.freeze(account, { debits: true });
  });

  test.each(changes)('%s with the one that was read: OK, and then there is another', async (_method, change) => {
    const { etag } = (await client.account(account))!;
    const changed = await change(etag);
    expect(changed?.etag).not.toBe(etag);
    expect(await client.account(account)).toEqual(changed);
  });

  test.each(changes)('%s with one of before: ABORTED', async (_method, change) => {
    const { etag } = (await client.account(account))!;
    await client.updateAccount(account, { metadata: { changed: 'meanwhile' } });
    await expectRefused(() => change(etag), refused(status.ABORTED, 'ETAG_MISMATCH'));
  });

  test.each(changes)('%s with one that never was: ABORTED', async (_method, change) => {
    await expectRefused(() => change('another'), refused(status.ABORTED, 'ETAG_MISMATCH'));
  });

  test.each(changes)(
    '%s again with the same one, as its answer was lost: OK, and nothing changes',
    async (_, change) => {
      const { etag } = (await client.account(account))!;
      const changed = await change(etag);
      expect(await change(etag)).toEqual(changed);
      expect((await historyOf(account)).at(-1)?.revision).toBe('3');
      expect(await eventsOf(account)).toHaveLength(3);
    },
  );

  test('of two changes with one etag at the same time one is made', async () => {
    const { etag } = (await client.account(account))!;
    const limits = [1n, 2n, 3n, 4n];
    const results = await Promise.allSettled(
      limits.map((overdraftLimitCents) => client.updateAccount(account, { etag, overdraftLimitCents })),
    );
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [reasonOf(result.reason)] : []));
    expect(failures).toEqual(Array(3).fill(refused(status.ABORTED, 'ETAG_MISMATCH')));
  });

  test('payments leave it alone', async () => {
    const before = await client.account(other);
    await pay(other, 'external-RUB');
    expect(await client.account(other)).toEqual(before);
  });
});

describe('the same call again changes nothing', () => {
  test.each<[string, () => Promise<unknown>]>([
    ['UpdateAccount', () => client.updateAccount(account, { overdraftLimitCents: 3n, metadata: { a: 'b', c: 'd' } })],
    ['FreezeAccount', () => client.freeze(account, { debits: true, reason: 'lost card' })],
    ['UnfreezeAccount', () => client.unfreeze(account, { credits: true })],
    ['CloseAccount', () => client.closeAccount(account)],
  ])('%s', async (_method, change) => {
    await empty(account);
    if (_method === 'UnfreezeAccount') await client.freeze(account);
    const changed = await change();
    const recorded = await historyOf(account);
    expect(await change()).toEqual(changed);
    expect(await historyOf(account)).toEqual(recorded);
    expect(await eventsOf(account)).toHaveLength(recorded.length);
  });
});

test('each change is in the history, with its reason, and has its event', async () => {
  await client.updateAccount(account, { overdraftLimitCents: 10n, metadata: { tier: 'gold' }, reason: 'promoted' });
  await client.freeze(account, { credits: true, reason: 'dispute 17' });
  await client.unfreeze(account, { reason: 'settled' });
  await empty(account);
  const closed = await client.closeAccount(account, { reason: 'moved away' });
  const common = { limit: '10', metadata: { tier: 'gold' }, caller: '' };
  expect((await historyOf(account)).slice(1)).toEqual([
    { ...common, kind: 'UPDATED', revision: '2', frozen: '', reason: 'promoted' },
    { ...common, kind: 'FROZEN', revision: '3', frozen: 'credits', reason: 'dispute 17' },
    { ...common, kind: 'UNFROZEN', revision: '4', frozen: '', reason: 'settled' },
    { ...common, kind: 'CLOSED', revision: '5', frozen: '', reason: 'moved away' },
  ]);
  const events = await eventsOf(account);
  expect(events.map(({ type, payload }) => [type, payload['revision'], payload['state'], payload['reason']])).toEqual([
    ['account.opened.v1', '1', 'STATE_ACTIVE', undefined],
    ['account.updated.v1', '2', 'STATE_ACTIVE', 'promoted'],
    ['account.frozen.v1', '3', 'STATE_FROZEN', 'dispute 17'],
    ['account.unfrozen.v1', '4', 'STATE_ACTIVE', 'settled'],
    ['account.closed.v1', '5', 'STATE_CLOSED', 'moved away'],
  ]);
  expect(events.every(({ same }) => same)).toBe(true);
  expect(events[2]?.payload).toMatchObject({
    creditsFrozen: true,
    overdraftLimitCents: '10',
    metadata: { tier: 'gold' },
  });
  expect(closed).toMatchObject({ state: STATE_CLOSED, metadata: { tier: 'gold' } });
});

test('ListAccounts shows accounts as they are now', async () => {
  await client.updateAccount(account, { overdraftLimitCents: 10n, metadata: { tier: 'gold' } });
  await client.freeze(account);
  const { accounts } = await client.listAccounts({ pageSize: 1_000 });
  expect(accounts.find(({ accountId }) => accountId === account)).toEqual(await client.account(account));
});

describe('rejected', () => {
  const changes: [string, (accountId: string) => Promise<unknown>][] = [
    ['UpdateAccount', (id) => client.updateAccount(id, { overdraftLimitCents: 1n })],
    ['FreezeAccount', (id) => client.freeze(id)],
    ['UnfreezeAccount', (id) => client.unfreeze(id)],
    ['CloseAccount', (id) => client.closeAccount(id)],
  ];

  test.each(changes)('%s of an account that there is not: NOT_FOUND', async (_method, change) => {
    const error = await rejection(change('nobody'));
    expect(error.code).toBe(status.NOT_FOUND);
    expect(errorDetails(error).resourceInfo).toMatchObject({ resourceType: 'Account', resourceName: 'nobody' });
  });

  test.each<[string, () => Promise<unknown>, string[]]>([
    ['UpdateAccount without a mask', () => client.updateAccount(account, {}), ['update_mask']],
    ['a bad account_id of UpdateAccount', () => client.updateAccount('', { metadata: {} }), ['account.account_id']],
    [
      'a negative overdraft limit',
      () => client.updateAccount(account, { overdraftLimitCents: -1n }),
      ['account.overdraft_limit_cents'],
    ],
    ['bad metadata', () => client.updateAccount(account, { metadata: { '': 'x' } }), ['account.metadata']],
    ['a bad account_id', () => client.freeze('a'.repeat(65)), ['account_id']],
    ['reason and etag that are too long', () => client.freeze(account, LONG), ['reason', 'etag']],
    ['the same of UnfreezeAccount', () => client.unfreeze(account, LONG), ['reason', 'etag']],
    ['the same of CloseAccount', () => client.closeAccount(account, LONG), ['reason', 'etag']],
    [
      'the same of UpdateAccount',
      () => client.updateAccount(account, { ...LONG, metadata: {} }),
      ['account.etag', 'reason'],
    ],
  ])('%s: INVALID_ARGUMENT names the fields', async (_case, change, fields) => {
    const error = await rejection(change());
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(errorDetails(error).badRequest?.fieldViolations.map(({ field }) => field)).toEqual(fields);
  });

  test('a mask with what cannot be changed names what can', async () => {
    const request = { account: { ...ASKED, accountId: account, overdraftLimitCents: 0n, metadata: {} }, reason: '' };
    const call = new Promise((resolve, reject) =>
      client.accounts.updateAccount({ ...request, updateMask: ['metadata', 'currency'] }, (error, response) =>
        error === null ? resolve(response) : reject(error),
      ),
    );
    const error = await rejection(call);
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(error.details).toContain('overdraft_limit_cents, metadata');
  });
});

const LONG = { reason: 'r'.repeat(1_001), etag: 'e'.repeat(65) };

test('the log has a line for each change that names the account, and metrics count what was stored', async () => {
  await client.freeze(account, { reason: 'not for the log' });
  await client.freeze(account);
  await rejection(client.closeAccount(account));
  const lines = () => api.log.filter((line) => line.includes(account)).map((line) => JSON.parse(line));
  const of = (method: string) => lines().filter((line) => String(line.method).endsWith(method));
  await expect.poll(() => of('CloseAccount').length).toBe(1);
  expect(of('FreezeAccount')).toMatchObject([{ code: 'OK' }, { code: 'OK' }]);
  expect(of('CloseAccount')).toMatchObject([{ code: 'FAILED_PRECONDITION', reason: 'ACCOUNT_NOT_EMPTY' }]);
  expect(api.log.join()).not.toContain('not for the log');
  const counted = async () => {
    const metrics = await (await fetch(`http://${api.ready['metricsAddress']}/metrics`)).text();
    return Number(/payment_ledger_account_changes_total\{change="frozen"\} (\d+)/.exec(metrics)?.[1]);
  };
  const before = await counted();
  await client.freeze(other);
  await client.freeze(other);
  expect(await counted()).toBe(before + 1);
});
