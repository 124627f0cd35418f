import { afterAll, beforeAll, expect, test } from 'vitest';
import { PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { createSystem, type System } from '../support/system.ts';

let system: System;
let client: LedgerClient;
beforeAll(async () => {
  system = await createSystem();
  ({ client } = await system.startApi());
});
afterAll(() => system.close());

test('a hold, a partial capture that keeps the remainder, and a final one that releases it', async () => {
  await client.openFunded('payer', 1_000n);
  await client.open('payee');
  const { payment } = await client.hold({ payerAccountId: 'payer', payeeAccountId: 'payee', amountCents: 300n });
  const { paymentId } = payment!;
  expect(payment).toMatchObject({ status: PaymentStatus.PAYMENT_STATUS_HELD, heldCents: 300n });
  expect(await client.balance('payer')).toMatchObject({ availableBalanceCents: 700n, pendingBalanceCents: 300n });
  expect(await client.balance('payee')).toMatchObject({ availableBalanceCents: 0n, incomingPendingCents: 300n });

  const partial = await client.capture(paymentId, { amountCents: 100n, keepRemainder: true });
  expect(partial.payment).toMatchObject({ status: PaymentStatus.PAYMENT_STATUS_HELD, heldCents: 200n });
  const final = await client.capture(paymentId, { amountCents: 150n });
  expect(final.action).toMatchObject({ amountCents: 150n, releasedCents: 50n });
  expect(final.payment).toMatchObject({ status: PaymentStatus.PAYMENT_STATUS_CAPTURED, capturedCents: 250n });
  expect(await client.balance('payer')).toMatchObject({ availableBalanceCents: 750n, pendingBalanceCents: 0n });
  expect(await client.balance('payee')).toMatchObject({ availableBalanceCents: 250n, incomingPendingCents: 0n });
});
