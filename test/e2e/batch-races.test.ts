import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { reconcile } from '../../src/app/reconciliation/books.ts';
import { PaymentErrorCode } from '../../src/gen/payment/v1/payment.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { captureItem, holdItem, refundItem, transferItem, voidItem } from '../support/batches.ts';
import { auditBooks } from '../support/books.ts';
import { seeded } from '../support/random.ts';
import { newHold, newPair } from '../support/refunds.ts';
import { createSystem, type System } from '../support/system.ts';

// Two API processes, so that it is Postgres who decides which transaction comes first.
let system: System;
let one: LedgerClient;
let two: LedgerClient;
beforeAll(async () => {
  system = await createSystem();
  [one, two] = (await Promise.all([system.startApi(), system.startApi()])).map(({ client }) => client) as [
    LedgerClient,
    LedgerClient,
  ];
});
afterAll(async () => {
  expect(await auditBooks(system.database)).toEqual([]);
  expect((await reconcile(postgresBooks(system.database.application))).problems).toEqual([]);
  const [row] = await system.database.query<{ deadlocks: bigint }>(
    'select deadlocks from pg_stat_database where datname = current_database()',
  );
  expect(row!.deadlocks).toBe(0n);
  await system.close();
});

type Batch = Awaited<ReturnType<LedgerClient['batch']>>;

/** Rounds of a race, so many that both sides win some. */
const ROUNDS = 25;
const rounds = <Result>(race: (round: number) => Promise<Result>) =>
  Promise.all(Array.from({ length: ROUNDS }, (_, round) => race(round)));

/** Starts on either process, by turns. */
const clients = (round: number) => (round % 2 === 0 ? ([one, two] as const) : ([two, one] as const));

const codeOf = ({ error }: Batch) => error?.code ?? 'TAKEN';
const fundsOf = async (accountId: string) => (await one.balance(accountId)).availableBalanceCents;

test('one key at the same time on both processes: one batch, and the other is its replay', async () => {
  await rounds(async (round) => {
    const pair = await newPair(one);
    const { paymentId } = await newHold(one, 100n);
    const items = [transferItem({ ...pair, amountCents: 10n }), captureItem(paymentId, { amountCents: 40n })];
    const key = crypto.randomUUID();
    const [first, second] = clients(round);
    const answers = await Promise.all([first.batch(items, key), second.batch(items, key), first.batch(items, key)]);
    expect(answers.map(({ replayed }) => replayed).sort()).toEqual([false, true, true]);
    const [original] = answers.filter(({ replayed }) => !replayed);
    for (const answer of answers) expect(answer).toEqual({ ...original, replayed: answer.replayed });
    expect(await fundsOf(pair.payeeAccountId)).toBe(10n);
  });
});

test('one key for a batch that is declined, on both processes: declined once', async () => {
  await rounds(async (round) => {
    const pair = await newPair(one, 100n);
    const items = [transferItem({ ...pair, amountCents: 60n }), transferItem({ ...pair, amountCents: 60n })];
    const key = crypto.randomUUID();
    const [first, second] = clients(round);
    const answers = await Promise.all([first.batch(items, key), second.batch(items, key)]);
    expect(answers.map(({ replayed }) => replayed).sort()).toEqual([false, true]);
    expect(new Set(answers.map(({ batchId }) => batchId)).size).toBe(1);
    expect(answers.map(({ declinedItem }) => declinedItem)).toEqual([1, 1]);
    expect((await one.listPayments({ batchId: answers[0]!.batchId })).payments).toHaveLength(1);
  });
});

test('one key for a batch and for a payment, on both processes: one of them, and the other is told', async () => {
  const winners = await rounds(async (round) => {
    const pair = await newPair(one);
    const key = crypto.randomUUID();
    const [first, second] = clients(round);
    const batch = () => first.batch([transferItem({ ...pair, amountCents: 7n })], key);
    const payment = () => second.authorize({ ...pair, amountCents: 7n, idempotencyKey: key });
    const calls = round % 4 < 2 ? [batch(), payment()] : [payment(), batch()].toReversed();
    const results = await Promise.allSettled(calls);
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
    const lost = results.find((result) => result.status === 'rejected')!;
    expect(lost.reason).toMatchObject({ code: status.ALREADY_EXISTS });
    expect(await fundsOf(pair.payeeAccountId)).toBe(7n);
    return results.findIndex((result) => result.status === 'fulfilled');
  });
  expect(winners).toHaveLength(ROUNDS);
});

test('batches over the same accounts and payments in opposite order: no deadlock, and all are taken', async () => {
  const accounts = Array.from({ length: 6 }, () => `ring-${crypto.randomUUID()}`);
  await Promise.all(accounts.map((account) => one.openFunded(account, 10_000n)));
  const holds = await Promise.all(
    accounts.map(async (payerAccountId, n) => {
      const payeeAccountId = accounts[(n + 1) % accounts.length]!;
      return (await one.hold({ payerAccountId, payeeAccountId, amountCents: 5_000n })).payment!.paymentId;
    }),
  );
  const items = accounts.flatMap((payerAccountId, n) => [
    transferItem({ payerAccountId, payeeAccountId: accounts[(n + 1) % accounts.length]!, amountCents: 3n }),
    captureItem(holds[n]!, { amountCents: 1n, keepRemainder: true }),
  ]);
  const batches = await Promise.all(
    Array.from({ length: 60 }, (_, n) => clients(n)[0].batch(n % 4 < 2 ? items : items.toReversed())),
  );
  expect(new Set(batches.map(codeOf))).toEqual(new Set(['TAKEN']));
  for (const hold of holds) expect(await one.payment(hold)).toMatchObject({ capturedCents: 60n, heldCents: 4_940n });
  // What everybody paid came back to them.
  for (const account of accounts) expect(await one.balance(account)).toMatchObject({ postedBalanceCents: 10_000n });
});

test('two batches that each spend all there is: one is taken, and the other is declined whole', async () => {
  await rounds(async (round) => {
    const { payerAccountId, payeeAccountId } = await newPair(one, 100n);
    const { paymentId } = await newHold(one, 50n);
    const batch = () => [
      captureItem(paymentId, { amountCents: 10n, keepRemainder: true }),
      transferItem({ payerAccountId, payeeAccountId, amountCents: 100n }),
    ];
    const [first, second] = clients(round);
    const answers = await Promise.all([first.batch(batch()), second.batch(batch())]);
    expect(answers.map(codeOf).sort()).toEqual([PaymentErrorCode.PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS, 'TAKEN']);
    expect(answers.find(({ error }) => error)).toMatchObject({ declinedItem: 1, actions: [] });
    expect(await one.payment(paymentId)).toMatchObject({ capturedCents: 10n, heldCents: 40n });
  });
});

test('a batch against a void of the hold that it captures: taken whole or declined whole', async () => {
  await rounds(async (round) => {
    const { paymentId } = await newHold(one, 50n);
    const pair = await newPair(one, 100n);
    const [first, second] = clients(round);
    const items = [transferItem({ ...pair, amountCents: 20n }), captureItem(paymentId)];
    const [batch, voided] =
      round % 4 < 2
        ? await Promise.all([first.batch(items), second.void(paymentId)])
        : ((await Promise.all([second.void(paymentId), first.batch(items)])).reverse() as [Batch, { action: unknown }]);
    const taken = batch.error === undefined;
    expect((voided.action as { error?: object }).error === undefined).toBe(!taken);
    expect(await one.payment(paymentId)).toMatchObject(taken ? { capturedCents: 50n } : { releasedCents: 50n });
    expect(await fundsOf(pair.payeeAccountId)).toBe(taken ? 20n : 0n);
  });
});

test('batches of everything on six accounts, a third of their keys repeated: one outcome for each key', async () => {
  const random = seeded(20_261_125);
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)]!;
  const accounts = Array.from({ length: 6 }, () => `mix-${crypto.randomUUID()}`);
  await Promise.all(accounts.map((account) => one.openFunded(account, 500n)));
  const pair = () => {
    const payerAccountId = pick(accounts);
    return { payerAccountId, payeeAccountId: pick(accounts.filter((account) => account !== payerAccountId)) };
  };
  const cents = () => BigInt(1 + Math.floor(random() * 120));
  const payments = await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      if (n % 2 === 0) return (await one.hold({ ...pair(), amountCents: cents() })).payment!.paymentId;
      return (await one.authorize({ ...pair(), amountCents: cents() })).paymentId;
    }),
  );
  const item = () =>
    pick([
      () => transferItem({ ...pair(), amountCents: cents() }),
      () => transferItem({ ...pair(), amountCents: cents() }),
      () => holdItem({ ...pair(), amountCents: cents() }),
      () => captureItem(pick(payments), { amountCents: 1n + cents() / 20n, keepRemainder: random() < 0.9 }),
      () => refundItem(pick(payments), { amountCents: 1n + cents() / 20n }),
      () => voidItem(pick(payments)),
    ])();
  const requests = Array.from({ length: 150 }, () => ({
    key: crypto.randomUUID(),
    items: Array.from({ length: 1 + Math.floor(random() * 4) }, item),
  }));
  const calls = [...requests, ...requests.filter((_, n) => n % 3 === 0)].toSorted(() => random() - 0.5);
  const answers = await Promise.all(
    calls.map(async ({ key, items }, n) => ({ key, answer: await clients(n)[0].batch(items, key) })),
  );
  for (const [key, group] of Map.groupBy(answers, (each) => each.key)) {
    expect(
      group.filter(({ answer }) => !answer.replayed),
      key,
    ).toHaveLength(1);
    expect(new Set(group.map(({ answer }) => answer.batchId)).size, key).toBe(1);
    expect(new Set(group.map(({ answer }) => answer.declinedItem)).size, key).toBe(1);
    for (const { answer } of group) expect(answer.actions).toEqual(group[0]!.answer.actions);
  }
  const taken = answers.filter(({ answer }) => answer.error === undefined);
  expect(taken.length).toBeGreaterThan(20);
  expect(answers.length - taken.length).toBeGreaterThan(20);
});

test('a process that is killed with batches under way leaves each whole or undone', async () => {
  const third = await system.startApi();
  const pair = await newPair(one, 100_000n);
  const requests = Array.from({ length: 200 }, () => ({
    key: crypto.randomUUID(),
    items: [
      transferItem({ ...pair, amountCents: 1n }),
      transferItem({ ...pair, amountCents: 2n }),
      transferItem({ ...pair, amountCents: 3n }),
    ],
  }));
  const calls = requests.map(({ key, items }) => third.client.batch(items, key));
  const ended = Promise.allSettled(calls);
  // Some have their answers by then, and some do not.
  await calls[10];
  await third.stop('SIGKILL');
  const results = await ended;
  const again = await Promise.all(requests.map(({ key, items }, n) => clients(n)[0].batch(items, key)));
  expect(new Set(again.map(codeOf))).toEqual(new Set(['TAKEN']));
  for (const [n, result] of results.entries()) {
    if (result.status === 'fulfilled')
      expect(again[n]).toMatchObject({ batchId: result.value.batchId, replayed: true });
  }
  expect(await fundsOf(pair.payeeAccountId)).toBe(1_200n);
});
