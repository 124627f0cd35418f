import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reconcile } from '../../src/app/reconciliation/books.ts';
import { Account_State } from '../../src/gen/payment/v1/account.ts';
import { PaymentErrorCode, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { auditBooks } from '../support/books.ts';
import { errorDetails } from '../support/error-details.ts';
import { createSystem, type System } from '../support/system.ts';

// Changes of accounts against payments, on two API processes at the same time.
let system: System;
let clients: readonly [LedgerClient, LedgerClient];

beforeAll(async () => {
  system = await createSystem();
  const [one, two] = await Promise.all([system.startApi(), system.startApi()]);
  clients = [one.client, two.client];
});
afterAll(() => system.close());

const client = (n: number) => clients[n % 2]!;

async function versionOf(accountId: string): Promise<bigint> {
  const [row] = await system.database.query<{ version: bigint }>(
    'select version from account_balances where account_id = $1',
    [accountId],
  );
  return row!.version;
}

async function expectBooksInOrder(): Promise<void> {
  expect(await auditBooks(system.database)).toEqual([]);
  expect((await reconcile(postgresBooks(system.database.application))).problems).toEqual([]);
}

/** Pays without a pause on both processes until it is stopped; returns what became of each payment. */
function keepPaying(payerAccountId: string, payeeAccountId: string, callers: number) {
  const running = { now: true };
  const answers = Array.from({ length: callers }, async (_, n) => {
    const results: PaymentErrorCode[] = [];
    while (running.now) {
      const { status: outcome, error } = await client(n).authorize({ payerAccountId, payeeAccountId, amountCents: 1n });
      if (outcome === PaymentStatus.PAYMENT_STATUS_AUTHORIZED) results.push(0);
      else results.push(error!.code);
    }
    return results;
  });
  return {
    async stop() {
      running.now = false;
      return (await Promise.all(answers)).flat();
    },
  };
}

test('freeze against payments: once FreezeAccount has answered, the account is not debited any more', async () => {
  await client(0).openFunded('freezing', 1_000_000n);
  const payments = keepPaying('freezing', 'external-RUB', 12);
  for (let round = 0; round < 8; round++) {
    const before = await versionOf('freezing');
    await expect.poll(() => versionOf('freezing')).toBeGreaterThan(before + 10n);
    await client(round).freeze('freezing', { debits: true });
    const frozenAt = await versionOf('freezing');
    // Both processes decide payments meanwhile, and decline them.
    const declines = Array.from({ length: 6 }, (_, n) =>
      client(n).authorize({ payerAccountId: 'freezing', payeeAccountId: 'external-RUB', amountCents: 1n }),
    );
    for (const { error } of await Promise.all(declines)) {
      expect(error?.code).toBe(PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_FROZEN);
    }
    expect(await versionOf('freezing')).toBe(frozenAt);
    await client(round + 1).unfreeze('freezing');
  }
  const outcomes = await payments.stop();
  expect(new Set(outcomes)).toEqual(new Set([0, PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_FROZEN]));
  const paid = BigInt(outcomes.filter((code) => code === 0).length);
  const { availableBalanceCents } = await client(0).balance('freezing');
  expect(availableBalanceCents).toBe(1_000_000n - paid);
  expect(await versionOf('freezing')).toBe(1n + paid);
  await expectBooksInOrder();
});

test('close against payments to it: it is closed and got nothing, or it got something and stays open', async () => {
  await client(0).openFunded('source', 1_000_000n);
  const accounts = Array.from({ length: 40 }, (_, n) => `closing-${n}`);
  await Promise.all(accounts.map((accountId) => client(0).open(accountId)));
  const outcomes = await Promise.all(
    accounts.map(async (accountId, n) => {
      const close = async () => {
        try {
          await client(n).closeAccount(accountId);
          return { closed: true, version: await versionOf(accountId) };
        } catch (error) {
          expect(errorDetails(error as never).errorInfo?.reason).toBe('ACCOUNT_NOT_EMPTY');
          expect(error).toMatchObject({ code: status.FAILED_PRECONDITION });
          return { closed: false, version: 0n };
        }
      };
      const pay = (by: number) =>
        client(by).authorize({ payerAccountId: 'source', payeeAccountId: accountId, amountCents: 1n });
      // In an order that is another each time.
      const payments = n % 3 === 0 ? [pay(n), pay(n + 1)] : [];
      const closing = close();
      payments.push(pay(n + 1), pay(n));
      const paid = (await Promise.all(payments)).filter(({ error }) => {
        if (error !== undefined) expect(error.code).toBe(PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_CLOSED);
        return error === undefined;
      }).length;
      return { accountId, paid, ...(await closing) };
    }),
  );
  for (const { accountId, paid, closed, version } of outcomes) {
    const state = (await client(0).account(accountId))?.state;
    expect(state).toBe(closed ? Account_State.STATE_CLOSED : Account_State.STATE_ACTIVE);
    if (closed) expect({ accountId, paid, version }).toEqual({ accountId, paid: 0, version: 0n });
    expect(await client(1).balance(accountId)).toMatchObject({ availableBalanceCents: BigInt(paid) });
    expect(await versionOf(accountId)).toBe(BigInt(paid));
  }
  const closed = outcomes.filter((each) => each.closed).length;
  expect(closed, 'the test means that both come first now and then').toBeGreaterThan(0);
  await expectBooksInOrder();
});

test('a lower overdraft limit against payments: the account is never below the limit that was answered', async () => {
  await client(0).open('drawing', { overdraftLimitCents: 1_000_000n });
  const payments = keepPaying('drawing', 'external-RUB', 8);
  let limit = 1_000_000n;
  for (let round = 0; round < 10; round++) {
    const owed = -(await client(round).balance('drawing')).availableBalanceCents;
    // Just above what it owes at the moment: sometimes payments are faster.
    const lower = owed + BigInt(round * 3);
    try {
      await client(round).updateAccount('drawing', { overdraftLimitCents: lower });
      limit = lower;
    } catch (error) {
      expect(errorDetails(error as never).errorInfo?.reason).toBe('OVERDRAFT_IN_USE');
    }
    expect((await client(round + 1).balance('drawing')).availableBalanceCents).toBeGreaterThanOrEqual(-limit);
    if (round % 3 === 2) {
      limit = 1_000_000n;
      await client(round).updateAccount('drawing', { overdraftLimitCents: limit });
    }
  }
  const outcomes = await payments.stop();
  const paid = BigInt(outcomes.filter((code) => code === 0).length);
  expect((await client(0).balance('drawing')).availableBalanceCents).toBe(-paid);
  await expectBooksInOrder();
});

test('changes of one account on two processes: each has a revision of its own and an event', async () => {
  await client(0).open('contested');
  const changes = Array.from({ length: 40 }, (_, n) =>
    client(n).updateAccount('contested', { overdraftLimitCents: BigInt(n + 1) }),
  );
  const etags = (await Promise.all(changes)).map((account) => account?.etag);
  expect(new Set(etags).size).toBe(40);
  const revisions = await system.database.query<{ revision: bigint; event: bigint }>(
    `select revision, (payload ->> 'revision')::bigint as event
     from account_changes left join outbox on outbox.id = change_id
     where account_id = 'contested' order by outbox.position`,
  );
  const counted = Array.from({ length: 41 }, (_, n) => BigInt(n + 1));
  expect(revisions.map(({ revision }) => revision)).toEqual(counted);
  expect(revisions.map(({ event }) => event)).toEqual(counted);
  await expectBooksInOrder();
});
