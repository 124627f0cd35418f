import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccountType } from '../../src/gen/payment/v1/account.ts';
import { type Payment, PaymentActionType, PaymentErrorCode, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { auditBooks } from '../support/books.ts';
import { errorDetails } from '../support/error-details.ts';
import { balancesOf, openPair, rowCounts } from '../support/hold-cases.ts';
import { rejection } from '../support/rejection.ts';
import { createSystem, type System } from '../support/system.ts';

// The edges of holds, one test for each row of the table in docs/holds.md.
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

const code = (name: keyof typeof PaymentErrorCode extends `PAYMENT_ERROR_CODE_${infer Name}` ? Name : never) =>
  PaymentErrorCode[`PAYMENT_ERROR_CODE_${name}`];

async function holdOf(amountCents: bigint): Promise<Payment> {
  const pair = await openPair(client);
  return (await client.hold({ ...pair, amountCents })).payment!;
}
