import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Payment,
  type PaymentAction,
  PaymentActionType,
  PaymentErrorCode,
  PaymentStatus,
} from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { auditBooks } from '../support/books.ts';
import { balancesOf, openPair } from '../support/hold-cases.ts';
import { createSystem, type System } from '../support/system.ts';

// What becomes of a payment by each action, whatever state it is in.
let system: System;
let client: LedgerClient;
beforeAll(async () => {
  system = await createSystem();
  ({ client } = await system.startApi());
});
afterAll(async () => {
  expect(await auditBooks(system.database)).toEqual([]);
  await system.close();
});

type State = 'HELD' | 'HELD and partly captured' | 'CAPTURED' | 'AUTHORIZED' | 'VOIDED' | 'DECLINED' | 'EXPIRED';

/** A payment of 300 in the state. */
async function paymentThatIs(state: State): Promise<Payment> {
  const pair = await openPair(client);
  if (state === 'AUTHORIZED') {
    const { paymentId } = await client.authorize({ ...pair, amountCents: 300n });
    return (await client.payment(paymentId))!;
  }
  const amountCents = state === 'DECLINED' ? 3_000n : 300n;
  const ttl = state === 'EXPIRED' ? { seconds: 0n, nanos: 1_000_000 } : undefined;
  const { payment } = await client.hold({ ...pair, amountCents, ttl });
  const { paymentId } = payment!;
  if (state === 'HELD and partly captured') await client.capture(paymentId, { amountCents: 100n, keepRemainder: true });
  if (state === 'CAPTURED') await client.capture(paymentId);
  if (state === 'VOIDED') await client.void(paymentId);
  if (state === 'EXPIRED') await expect.poll(() => statusOf(paymentId), { timeout: 60_000 }).toBe('EXPIRED');
  return (await client.payment(paymentId))!;
}

async function statusOf(paymentId: string): Promise<string> {
  return statusName((await client.payment(paymentId))!.status);
}

function statusName(status: PaymentStatus): string {
  const [name] = Object.entries(PaymentStatus).find(([, number]) => number === status)!;
  return name.replace('PAYMENT_STATUS_', '');
}

const actions = {
  'a final capture of 100': (paymentId: string) => client.capture(paymentId, { amountCents: 100n }),
  'a capture of 100 that keeps the remainder': (paymentId: string) =>
    client.capture(paymentId, { amountCents: 100n, keepRemainder: true }),
  'a capture of all that is held that keeps the remainder': (paymentId: string) =>
    client.capture(paymentId, { keepRemainder: true }),
  'a void': (paymentId: string) => client.void(paymentId),
};

/** held, captured, released. */
function amountsOf({ heldCents, capturedCents, releasedCents }: Payment): bigint[] {
  return [heldCents, capturedCents, releasedCents];
}

describe('a payment that is', () => {
  test.each([
    ['HELD', 'a final capture of 100', 'CAPTURED', [0n, 100n, 200n], [900n, 0n, 0n, 100n, 0n, 0n]],
    ['HELD', 'a capture of 100 that keeps the remainder', 'HELD', [200n, 100n, 0n], [700n, 200n, 0n, 100n, 0n, 200n]],
    [
      'HELD',
      'a capture of all that is held that keeps the remainder',
      'CAPTURED',
      [0n, 300n, 0n],
      [700n, 0n, 0n, 300n, 0n, 0n],
    ],
    ['HELD', 'a void', 'VOIDED', [0n, 0n, 300n], [1_000n, 0n, 0n, 0n, 0n, 0n]],
    ['HELD and partly captured', 'a void', 'CAPTURED', [0n, 100n, 200n], [900n, 0n, 0n, 100n, 0n, 0n]],
    ['HELD and partly captured', 'a final capture of 100', 'CAPTURED', [0n, 200n, 100n], [800n, 0n, 0n, 200n, 0n, 0n]],
    [
      'HELD and partly captured',
      'a capture of 100 that keeps the remainder',
      'HELD',
      [100n, 200n, 0n],
      [700n, 100n, 0n, 200n, 0n, 100n],
    ],
  ] as const)('%s is by %s: %s', async (state, action, becomes, amounts, balances) => {
    const before = await paymentThatIs(state);
    const { action: taken, payment, replayed } = await actions[action](before.paymentId);
    expect(taken!.error).toBeUndefined();
    expect(replayed).toBe(false);
    expect(statusName(payment!.status)).toBe(becomes);
    expect(amountsOf(payment!)).toEqual(amounts);
    expect(payment!.updatedAt).toBe(taken!.createdAt);
    expect(await client.payment(before.paymentId)).toEqual(payment);
    expect(await balancesOf(client, before)).toEqual(balances);
  });

  const NOT_HELD = 'PAYMENT_NOT_HELD';
  const EXPIRED = 'PAYMENT_EXPIRED';
  const captures = ['a final capture of 100', 'a capture of 100 that keeps the remainder'] as const;
  test.each([
    ...(['CAPTURED', 'AUTHORIZED', 'VOIDED', 'DECLINED'] as const).flatMap((state) =>
      [...captures, 'a void' as const].map((action) => [state, action, NOT_HELD] as const),
    ),
    ...captures.map((action) => ['EXPIRED', action, EXPIRED] as const),
    ['EXPIRED', 'a void', NOT_HELD] as const,
  ])('%s declines %s: %s', async (state, action, code) => {
    const before = await paymentThatIs(state);
    const balances = state === 'DECLINED' ? undefined : await balancesOf(client, before);
    const { action: declined, payment } = await actions[action](before.paymentId);
    expect(declined!.error?.code).toBe(PaymentErrorCode[`PAYMENT_ERROR_CODE_${code}`]);
    expect(declined).toMatchObject({ releasedCents: 0n, paymentId: before.paymentId });
    expect(payment).toEqual(before);
    expect(await client.payment(before.paymentId)).toEqual(before);
    if (balances !== undefined) expect(await balancesOf(client, before)).toEqual(balances);
  });

  test('HELD is by the end of its time: EXPIRED', async () => {
    const payment = await paymentThatIs('EXPIRED');
    expect(amountsOf(payment)).toEqual([0n, 0n, 300n]);
    expect(await balancesOf(client, payment)).toEqual([1_000n, 0n, 0n, 0n, 0n, 0n]);
    const { actions } = await client.actions(payment.paymentId);
    expect(actions.map(({ type }: PaymentAction) => type)).toEqual([
      PaymentActionType.PAYMENT_ACTION_TYPE_HOLD,
      PaymentActionType.PAYMENT_ACTION_TYPE_EXPIRY,
    ]);
    expect(actions[1]).toMatchObject({ amountCents: 0n, releasedCents: 300n, error: undefined });
    expect(actions[1]!.createdAt >= payment.expiresAt).toBe(true);
  });

  test('HELD and partly captured is by the end of its time: CAPTURED', async () => {
    const pair = await openPair(client);
    const { payment } = await client.hold({ ...pair, amountCents: 300n, ttl: { seconds: 8n, nanos: 0 } });
    const { paymentId } = payment!;
    const partial = await client.capture(paymentId, { amountCents: 100n, keepRemainder: true });
    expect(statusName(partial.payment!.status)).toBe('HELD');
    await expect.poll(() => statusOf(paymentId), { timeout: 60_000 }).toBe('CAPTURED');
    expect(amountsOf((await client.payment(paymentId))!)).toEqual([0n, 100n, 200n]);
    expect(await balancesOf(client, pair)).toEqual([900n, 0n, 0n, 100n, 0n, 0n]);
    const late = await client.capture(paymentId, { amountCents: 100n });
    expect(late.action!.error?.code).toBe(PaymentErrorCode.PAYMENT_ERROR_CODE_PAYMENT_NOT_HELD);
  });
});
