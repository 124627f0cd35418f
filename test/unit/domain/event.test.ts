import { expect, test } from 'vitest';
import { actionDeclined, actionTaken } from '../../../src/app/domain/event.ts';
import type { LedgerEntry } from '../../../src/app/domain/ledger.ts';
import type { Payment } from '../../../src/app/domain/payment.ts';
import { PaymentAuthorized, PaymentDeclined } from '../../../src/gen/payment/v1/events.ts';

const payment: Payment = {
  actionId: '01JZ0000000000000000000000',
  paymentId: '01JZ0000000000000000000000',
  kind: 'PAYMENT',
  releasedCents: 0n,
  payerAccountId: 'acc-001',
  payeeAccountId: 'acc-002',
  amountCents: 9_007_199_254_740_993n,
  currency: 'RUB',
  description: 'Обед 🍲',
  createdAt: new Date('2026-01-02T03:04:05.678Z'),
  verdict: { status: 'AUTHORIZED', payerVersion: 1n, payeeVersion: 2n },
};

function entry(direction: LedgerEntry['direction'], balanceAfterCents: bigint, version: bigint): LedgerEntry {
  const { actionId, amountCents, createdAt } = payment;
  const pendingAfterCents = 0n;
  return {
    accountId: 'acc',
    version,
    actionId,
    direction,
    amountCents,
    balanceAfterCents,
    pendingAfterCents,
    createdAt,
  };
}

/** The payload as it leaves for Kafka. */
const sent = (payload: object) => JSON.parse(JSON.stringify(payload));

test('PaymentAuthorized is the protobuf-JSON form of its message', () => {
  const { payload } = actionTaken(payment, { payer: entry('DEBIT', -5n, 1n), payee: entry('CREDIT', 0n, 2n) });
  const message = PaymentAuthorized.fromJSON(sent(payload));
  expect(message).toMatchObject({
    amountCents: 9_007_199_254_740_993n,
    authorizedAt: '2026-01-02T03:04:05.678Z',
    payer: { balanceCents: -5n, version: 1n },
    payee: { balanceCents: 0n, version: 2n },
  });
  expect(PaymentAuthorized.toJSON(message)).toEqual(sent(payload));
});

test.each(['INSUFFICIENT_FUNDS', 'ACCOUNT_NOT_FOUND', 'CURRENCY_MISMATCH', 'INVALID_AMOUNT'] as const)(
  'PaymentDeclined (%s) is the protobuf-JSON form of its message',
  (code) => {
    const { payload } = actionDeclined({ ...payment, description: '' }, { code, message: 'No.' });
    const message = PaymentDeclined.fromJSON(sent(payload));
    expect(message.error?.code).toBeGreaterThan(0);
    expect(PaymentDeclined.toJSON(message)).toEqual(sent(payload));
  },
);

test('the batch is in the events of its items, and leaves no trace where there is none', () => {
  const entries = { payer: entry('DEBIT', -5n, 1n), payee: entry('CREDIT', 0n, 2n) };
  const item = { ...payment, batch: { batchId: '01JZ0000000000000000000001', item: 1 } };
  const authorized = sent(actionTaken(item, entries).payload);
  expect(PaymentAuthorized.toJSON(PaymentAuthorized.fromJSON(authorized))).toEqual(authorized);
  const declined = sent(actionDeclined(item, { code: 'INSUFFICIENT_FUNDS', message: 'No.' }).payload);
  expect(PaymentDeclined.toJSON(PaymentDeclined.fromJSON(declined))).toEqual(declined);
  for (const { batchId } of [authorized, declined]) expect(batchId).toBe('01JZ0000000000000000000001');
  expect(Object.keys(sent(actionTaken(payment, entries).payload))).not.toContain('batchId');
});

test('reference and metadata are in both events, and leave no trace where a payment has none', () => {
  const noted = { ...payment, reference: 'order "1" 🧾', metadata: { b: '2', a: '' } };
  const entries = { payer: entry('DEBIT', -5n, 1n), payee: entry('CREDIT', 0n, 2n) };
  const authorized = sent(actionTaken(noted, entries).payload);
  expect(PaymentAuthorized.toJSON(PaymentAuthorized.fromJSON(authorized))).toEqual(authorized);
  expect(authorized).toMatchObject({ reference: 'order "1" 🧾', metadata: { a: '', b: '2' } });
  const declined = sent(actionDeclined(noted, { code: 'INSUFFICIENT_FUNDS', message: 'No.' }).payload);
  expect(PaymentDeclined.toJSON(PaymentDeclined.fromJSON(declined))).toEqual(declined);
  expect(declined).toMatchObject({ reference: 'order "1" 🧾', metadata: { a: '', b: '2' } });
  expect(Object.keys(sent(actionTaken(payment, entries).payload))).not.toContain('reference');
  expect(Object.keys(sent(actionTaken(payment, entries).payload))).not.toContain('metadata');
});
