import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExecutePaymentBatchResponse, type PaymentBatchItem } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { captureItem, transferItem } from '../support/batches.ts';
import { errorDetails } from '../support/error-details.ts';
import { rowCounts } from '../support/hold-cases.ts';
import { newHold, newPair } from '../support/refunds.ts';
import { rejection } from '../support/rejection.ts';
import { createSystem, type System } from '../support/system.ts';

// A batch whose answer could not be sent would be done, and its caller never hear of it.
let system: System;
let client: LedgerClient;
beforeAll(async () => {
  system = await createSystem();
  ({ client } = await system.startApi());
});
afterAll(() => system.close());

/** As many bytes of notes as there can be. */
const LONGEST = {
  description: '🧾'.repeat(1_000),
  reference: '🧾'.repeat(255),
  metadata: Object.fromEntries(
    Array.from({ length: 20 }, (_, n) => [`${'🧾'.repeat(38)}${String(n).padStart(2, '0')}`, '🧾'.repeat(500)]),
  ),
};

async function rejected(batches: LedgerClient, items: PaymentBatchItem[]) {
  const before = await rowCounts(system.database);
  const error = await rejection(batches.batch(items));
  const { badRequest } = errorDetails(error);
  expect(badRequest?.fieldViolations.map(({ field }) => field)).toEqual(['items']);
  expect(error.details).toContain('would be answered by up to');
  expect(await rowCounts(system.database)).toEqual(before);
}

test('a batch whose answer would be too long for clients is INVALID_ARGUMENT, and nothing is stored', async () => {
  const { paymentId } = await newHold(client, 1_000n, LONGEST);
  const part = captureItem(paymentId, { amountCents: 1n, keepRemainder: true });
  await rejected(client, new Array(99).fill(part));
  const { payments, error } = await client.batch(new Array(80).fill(part));
  expect(error).toBeUndefined();
  expect(payments).toHaveLength(80);
});

test('GRPC_MAX_RESPONSE_BYTES counts, and no answer comes to more than was reckoned with', async () => {
  const pair = await newPair(client);
  const notes = { description: '🧾'.repeat(500), reference: 'order-17', metadata: { order: '17' } };
  const item = transferItem({ ...pair, amountCents: 1n, ...notes });
  const answer = await client.batch(new Array(30).fill(item));
  const bytes = ExecutePaymentBatchResponse.encode(answer).finish().length;
  const limited = await system.startApi({ GRPC_MAX_RESPONSE_BYTES: String(bytes) });
  await rejected(limited.client, new Array(30).fill(item));
  expect((await limited.client.batch(new Array(15).fill(item))).error).toBeUndefined();
});

test('the least that it may be has room for what holding and capturing the largest payment answer', async () => {
  const limited = await system.startApi({ GRPC_MAX_RESPONSE_BYTES: '131072' });
  const { paymentId } = await newHold(limited.client, 10n, LONGEST);
  const { payment } = await limited.client.capture(paymentId, LONGEST);
  expect(payment).toMatchObject({ capturedCents: 10n, metadata: LONGEST.metadata });
});
