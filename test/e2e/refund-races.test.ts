import { afterAll, beforeAll, expect, test } from 'vitest';
import { reconcile } from '../../src/app/reconciliation/books.ts';
import { PaymentErrorCode, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { auditBooks } from '../support/books.ts';
import { newHold, newPayment } from '../support/refunds.ts';
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
  await system.close();
});

type Answer = Awaited<ReturnType<LedgerClient['refund']>>;

const TAKEN = 'TAKEN';
const EXCEEDS_CAPTURED = PaymentErrorCode.PAYMENT_ERROR_CODE_AMOUNT_EXCEEDS_CAPTURED;
const FROZEN = PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_FROZEN;
const outcome = ({ action }: Pick<Answer, 'action'>) => action?.error?.code ?? TAKEN;
const outcomes = (answers: readonly Answer[]) => answers.map(outcome).sort();

/** Rounds of a race, so many that both sides win some. */
const ROUNDS = 25;
const rounds = <Result>(race: (round: number) => Promise<Result>) =>
  Promise.all(Array.from({ length: ROUNDS }, (_, round) => race(round)));

/** Starts on either process, by turns. */
const clients = (round: number) => (round % 2 === 0 ? ([one, two] as const) : ([two, one] as const));

const amountsOf = async (paymentId: string) => {
  const { heldCents, capturedCents, releasedCents, refundedCents } = (await one.payment(paymentId))!;
  return { heldCents, capturedCents, releasedCents, refundedCents };
};

test('two first refunds of all of a payment: one is taken, the other exceeds what is left', async () => {
  await rounds(async (round) => {
    const { paymentId, payerAccountId } = await newPayment(one, 100n);
    const [first, second] = clients(round);
    const answers = await Promise.all([first.refund(paymentId), second.refund(paymentId, { amountCents: 100n })]);
    expect(outcomes(answers)).toEqual([EXCEEDS_CAPTURED, TAKEN]);
    expect((await one.payment(paymentId))?.refundedCents).toBe(100n);
    expect((await one.balance(payerAccountId)).availableBalanceCents).toBe(1_000n);
  });
});

test('two first refunds that both fit: both are taken', async () => {
  await rounds(async (round) => {
    const { paymentId, payerAccountId } = await newPayment(one, 100n);
    const [first, second] = clients(round);
    const answers = await Promise.all([
      first.refund(paymentId, { amountCents: 60n }),
      second.refund(paymentId, { amountCents: 40n }),
    ]);
    expect(outcomes(answers)).toEqual([TAKEN, TAKEN]);
    expect((await one.balance(payerAccountId)).availableBalanceCents).toBe(1_000n);
  });
});

test('two refunds of one remainder: one is taken', async () => {
  await rounds(async (round) => {
    const { paymentId } = await newPayment(one, 100n);
    await one.refund(paymentId, { amountCents: 40n });
    const [first, second] = clients(round);
    const answers = await Promise.all([
      first.refund(paymentId, { amountCents: 60n }),
      second.refund(paymentId, { amountCents: 31n }),
    ]);
    expect(outcomes(answers)).toEqual([EXCEEDS_CAPTURED, TAKEN]);
    const taken = answers.find((answer) => outcome(answer) === TAKEN)!.action!.amountCents;
    expect((await one.payment(paymentId))?.refundedCents).toBe(40n + taken);
  });
});

test('sixty refunds of ten cents each of a payment of three hundred: thirty are taken', async () => {
  const { paymentId, payeeAccountId, payerAccountId } = await newPayment(one, 300n);
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, n) => clients(n)[0].refund(paymentId, { amountCents: 10n })),
  );
  expect(answers.filter((answer) => outcome(answer) === TAKEN)).toHaveLength(30);
  expect(answers.filter((answer) => outcome(answer) === EXCEEDS_CAPTURED)).toHaveLength(30);
  expect(await amountsOf(paymentId)).toMatchObject({ capturedCents: 300n, refundedCents: 300n });
  const { entries } = await one.entries(payeeAccountId);
  expect(entries.map(({ version }) => version)).toEqual(Array.from({ length: 31 }, (_, n) => BigInt(31 - n)));
  expect((await one.balance(payerAccountId)).availableBalanceCents).toBe(1_000n);
});

test('refunds of payments that share their accounts, in either direction: all are taken', async () => {
  const pair = await newPayment(one, 500n);
  const there = { payerAccountId: pair.payerAccountId, payeeAccountId: pair.payeeAccountId, amountCents: 10n };
  const back = { payerAccountId: pair.payeeAccountId, payeeAccountId: pair.payerAccountId, amountCents: 10n };
  const payments = await Promise.all(Array.from({ length: 30 }, (_, n) => one.authorize(n % 2 === 0 ? there : back)));
  const answers = await Promise.all(
    // Each twice, the second time on the other process and in the opposite order.
    [...payments.entries(), ...[...payments.entries()].reverse()].map(([n, { paymentId }], call) =>
      clients(call < 30 ? n : n + 1)[0].refund(paymentId, { amountCents: 5n }),
    ),
  );
  expect(new Set(answers.map(outcome))).toEqual(new Set([TAKEN]));
  for (const { paymentId } of payments) expect((await one.payment(paymentId))?.refundedCents).toBe(10n);
});

test('one key at the same time on both processes: one refund, and the other is its replay', async () => {
  await rounds(async () => {
    const { paymentId } = await newPayment(one, 100n);
    const request = { idempotencyKey: crypto.randomUUID(), amountCents: 50n };
    const answers = await Promise.all([one.refund(paymentId, request), two.refund(paymentId, request)]);
    expect(answers.map(({ replayed }) => replayed).sort()).toEqual([false, true]);
    expect(new Set(answers.map(({ action }) => action?.actionId)).size).toBe(1);
    expect((await one.payment(paymentId))?.refundedCents).toBe(50n);
  });
});

test('a refund against the capture that it needs: taken if it comes second, else declined', async () => {
  const seen = await rounds(async (round) => {
    const { paymentId } = await newHold(one, 100n);
    const [first, second] = clients(round);
    const calls = [
      () => first.capture(paymentId, { amountCents: 70n, keepRemainder: true }),
      () => second.refund(paymentId, { amountCents: 70n }),
    ] as const;
    const [capture, refund] =
      round % 4 < 2
        ? await Promise.all([calls[0](), calls[1]()])
        : ((await Promise.all([calls[1](), calls[0]()])).reverse() as [Answer, Answer]);
    expect(outcome(capture)).toBe(TAKEN);
    const isRefunded = outcome(refund) === TAKEN;
    if (!isRefunded) expect(outcome(refund)).toBe(EXCEEDS_CAPTURED);
    const refundedCents = isRefunded ? 70n : 0n;
    expect(await amountsOf(paymentId)).toEqual({
      heldCents: 30n,
      capturedCents: 70n,
      releasedCents: 0n,
      refundedCents,
    });
    expect(refund.payment?.capturedCents).toBe(isRefunded ? 70n : 0n);
    return outcome(refund);
  });
  expect(seen).toHaveLength(ROUNDS);
});

test('a refund against a capture and a void of the rest: each amount is where it belongs', async () => {
  await rounds(async (round) => {
    const { paymentId, payerAccountId, payeeAccountId } = await newHold(one, 100n);
    await one.capture(paymentId, { amountCents: 40n, keepRemainder: true });
    const [first, second] = clients(round);
    const [refund, capture, release] = await Promise.all([
      first.refund(paymentId, { amountCents: 40n }),
      second.capture(paymentId, { amountCents: 25n, keepRemainder: true }),
      first.void(paymentId),
    ]);
    expect(outcome(refund)).toBe(TAKEN);
    expect(outcome(release)).toBe(TAKEN);
    const capturedCents = outcome(capture) === TAKEN ? 65n : 40n;
    expect(await amountsOf(paymentId)).toEqual({
      heldCents: 0n,
      capturedCents,
      releasedCents: 100n - capturedCents,
      refundedCents: 40n,
    });
    expect(await one.payment(paymentId)).toMatchObject({ status: PaymentStatus.PAYMENT_STATUS_CAPTURED });
    expect(await one.balance(payerAccountId)).toMatchObject({
      availableBalanceCents: 1_040n - capturedCents,
      pendingBalanceCents: 0n,
    });
    expect(await one.balance(payeeAccountId)).toMatchObject({
      availableBalanceCents: capturedCents - 40n,
      incomingPendingCents: 0n,
    });
  });
});

test('refunds against a freeze of the payee: none is taken once it holds', async () => {
  for (let round = 0; round < 5; round++) {
    const { paymentId, payeeAccountId } = await newPayment(one, 100n);
    const refunds = Array.from({ length: 60 }, (_, n) => clients(n)[0].refund(paymentId, { amountCents: 1n }));
    await two.freeze(payeeAccountId, { debits: true });
    const { version } = await one.balance(payeeAccountId);
    const late = await Promise.all(
      Array.from({ length: 10 }, (_, n) => clients(n)[0].refund(paymentId, { amountCents: 1n })),
    );
    expect(new Set(late.map(outcome))).toEqual(new Set([FROZEN]));
    const answers = await Promise.all(refunds);
    const taken = answers.filter((answer) => outcome(answer) === TAKEN);
    for (const answer of answers) expect([TAKEN, FROZEN]).toContain(outcome(answer));
    // The payment itself is the payee's first entry.
    expect(version).toBe(BigInt(taken.length) + 1n);
    expect((await one.balance(payeeAccountId)).version).toBe(version);
    expect((await one.payment(paymentId))?.refundedCents).toBe(BigInt(taken.length));
  }
});
