import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { reconcile } from '../../src/app/reconciliation/books.ts';
import { type Payment, PaymentActionType, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { consumeEvents, type ReceivedEvent } from '../../tools/events.ts';
import { auditBooks } from '../support/books.ts';
import { disorder } from '../support/order.ts';
import { seeded } from '../support/random.ts';
import { createSystem, type System } from '../support/system.ts';

let system: System;
beforeAll(async () => {
  system = await createSystem();
});
afterAll(() => system.close());

const ACCOUNTS = Array.from({ length: 10 }, (_, n) => `hot-${n}`);
const FUNDS = 20_000n;
const CALLS = 2_000;
const AT_A_TIME = 50;

/** What a call came to. */
interface Answer {
  readonly actionId: string;
  readonly replayed: boolean;
}

type Call = (client: LedgerClient) => Promise<Answer>;

test('2,000 mixed actions on two replicas, a third of them repeats: each is done once, and all agree on it', async () => {
  const [one, two] = await Promise.all([system.startApi(), system.startApi()]);
  for (const account of ACCOUNTS) await one.client.openFunded(account, FUNDS);
  await system.startRelay();
  const consumer = await consumeEvents(inject('kafkaBrokers'), system.topic);

  const answers = await play([one.client, two.client]);

  expect(answers.size).toBeGreaterThan(CALLS / 2);
  for (const [key, ofKey] of answers) {
    expect(new Set(ofKey.map(({ actionId }) => actionId)).size, key).toBe(1);
    expect(
      ofKey.filter(({ replayed }) => !replayed),
      key,
    ).toHaveLength(1);
  }

  // Holds of a short time, too, have come to an end.
  const due = 'select from payment_balances where open and expires_at < now()';
  await expect.poll(() => system.database.query(due), { timeout: 60_000 }).toEqual([]);
  const rows = await system.database.query<{ payment_id: string; kind: string }>(
    'select payment_id, kind from payments',
  );
  const expiries = rows.filter(({ kind }) => kind === 'EXPIRY').length;
  expect(rows).toHaveLength(answers.size + expiries + ACCOUNTS.length);
  expect(expiries, 'the test means to see holds expire').toBeGreaterThan(0);
  const refunds = `select from payments where kind = 'REFUND' and status = 'AUTHORIZED'`;
  expect((await system.database.query(refunds)).length, 'and refunds').toBeGreaterThan(30);

  await expectSumOfActions(one.client);
  expect(await auditBooks(system.database)).toEqual([]);
  expect((await reconcile(postgresBooks(system.database.pool))).problems).toEqual([]);

  const idsOf = (events: readonly ReceivedEvent[]) =>
    new Set(events.filter(({ type }) => type.startsWith('payment.')).map(({ eventId }) => eventId));
  await consumer.until((events) => idsOf(events).size >= rows.length);
  expect(idsOf(consumer.events).size).toBe(rows.length);
  expect(disorder(consumer.events)).toEqual([]);
  await consumer.close();
  // Two thousand calls and their events take a busy machine longer than most tests.
}, 300_000);

/** Makes the calls, many at a time; the answers by idempotency key. */
async function play(clients: readonly LedgerClient[]): Promise<Map<string, Answer[]>> {
  const random = seeded(20_261_125);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!;
  const held: string[] = [];
  const paid: string[] = [];
  const calls: [key: string, call: Call][] = [];
  const answers = new Map<string, Answer[]>();

  const draw = (): [string, Call] => {
    if (calls.length > 0 && random() < 1 / 3) return pick(calls);
    const made: [string, Call] = [`key-${calls.length}`, drawCall(`key-${calls.length}`)];
    calls.push(made);
    return made;
  };
  const drawCall = (idempotencyKey: string): Call => {
    const payerAccountId = pick(ACCOUNTS);
    const payeeAccountId = pick(ACCOUNTS.filter((account) => account !== payerAccountId));
    const request = {
      idempotencyKey,
      payerAccountId,
      payeeAccountId,
      amountCents: BigInt(1 + Math.floor(random() * 900)),
    };
    const kind =
      held.length === 0
        ? 'HOLD'
        : pick(['PAYMENT', 'HOLD', 'HOLD', 'CAPTURE', 'CAPTURE', 'CAPTURE', 'VOID', 'REFUND', 'REFUND']);
    const paymentId = held.length === 0 ? '' : pick(held.slice(-60));
    const refundedId = paid.length === 0 ? paymentId : pick([paymentId, ...paid.slice(-20)]);
    const ttl = random() < 0.2 ? { seconds: 0n, nanos: 300_000_000 } : undefined;
    const amountCents = random() < 0.3 ? undefined : BigInt(1 + Math.floor(random() * 400));
    const keepRemainder = random() < 0.6;
    switch (kind) {
      case 'PAYMENT':
        return async (client) => {
          const { paymentId, status } = await client.authorize(request, 60_000);
          if (status === PaymentStatus.PAYMENT_STATUS_AUTHORIZED) paid.push(paymentId);
          return { actionId: paymentId, replayed: status === PaymentStatus.PAYMENT_STATUS_DUPLICATE };
        };
      case 'HOLD':
        return async (client) => {
          const { action, payment, replayed } = await client.hold({ ...request, ttl });
          if (!replayed && payment!.heldCents > 0n) held.push(payment!.paymentId);
          return { actionId: action!.actionId, replayed };
        };
      case 'CAPTURE':
        return async (client) => {
          const { action, replayed } = await client.capture(paymentId, { idempotencyKey, amountCents, keepRemainder });
          return { actionId: action!.actionId, replayed };
        };
      case 'REFUND':
        return async (client) => {
          const { action, replayed } = await client.refund(refundedId, { idempotencyKey, amountCents });
          return { actionId: action!.actionId, replayed };
        };
      default:
        return async (client) => {
          const { action, replayed } = await client.void(paymentId, { idempotencyKey });
          return { actionId: action!.actionId, replayed };
        };
    }
  };

  let made = 0;
  const caller = async () => {
    while (made < CALLS) {
      made += 1;
      const [key, call] = draw();
      const answer = await call(clients[made % clients.length]!);
      answers.set(key, [...(answers.get(key) ?? []), answer]);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, caller));
  return answers;
}

/** What each account has posted, pending and incoming is what the actions of all payments come to. */
async function expectSumOfActions(client: LedgerClient): Promise<void> {
  const sums = new Map(ACCOUNTS.map((account) => [account, { posted: FUNDS, pending: 0n, incoming: 0n }]));
  const payments = await allPayments(client);
  const [stored] = await system.database.query<{ count: bigint }>(
    `select count(*) from payments where parent_id is null and payer_account_id = any($1)`,
    [ACCOUNTS],
  );
  expect(BigInt(payments.length), 'ListPayments has all of them').toBe(stored!.count);
  for (const payment of payments) {
    const payer = sums.get(payment.payerAccountId)!;
    const payee = sums.get(payment.payeeAccountId)!;
    const taken = (await client.actions(payment.paymentId, { pageSize: 1_000 })).actions.filter(({ error }) => !error);
    for (const { type, amountCents, releasedCents } of taken) {
      const isHold = type === PaymentActionType.PAYMENT_ACTION_TYPE_HOLD;
      const isRefund = type === PaymentActionType.PAYMENT_ACTION_TYPE_REFUND;
      const moved = isHold ? 0n : isRefund ? -amountCents : amountCents;
      const leavesHolds = isRefund || type === PaymentActionType.PAYMENT_ACTION_TYPE_PAYMENT;
      const onHold = isHold ? amountCents : leavesHolds ? 0n : -amountCents - releasedCents;
      payer.posted -= moved;
      payee.posted += moved;
      payer.pending += onHold;
      payee.incoming += onHold;
    }
  }
  for (const [account, { posted, pending, incoming }] of sums) {
    expect(await client.balance(account)).toMatchObject({
      postedBalanceCents: posted,
      availableBalanceCents: posted - pending,
      pendingBalanceCents: pending,
      incomingPendingCents: incoming,
    });
  }
}

/** Those between the accounts, each once. */
async function allPayments(client: LedgerClient): Promise<Payment[]> {
  const payments = new Map<string, Payment>();
  for (const accountId of ACCOUNTS) {
    let pageToken = '';
    do {
      const page = await client.listPayments({ accountId, pageSize: 1_000, pageToken });
      for (const payment of page.payments) payments.set(payment.paymentId, payment);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
  }
  return [...payments.values()].filter(({ payerAccountId }) => ACCOUNTS.includes(payerAccountId));
}
