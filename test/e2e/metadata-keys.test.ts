import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Account, UpdateAccountRequest } from '../../src/gen/payment/v1/account.ts';
import { AuthorizePaymentRequest, AuthorizePaymentResponse } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { errorDetails } from '../support/error-details.ts';
import { createSystem, type System } from '../support/system.ts';

// Bytes as a client in another language sends them: in objects of JavaScript, __proto__ is no key.
let system: System;
let raw: Client;
let client: LedgerClient;

beforeAll(async () => {
  system = await createSystem();
  const api = await system.startApi();
  ({ client } = api);
  raw = new Client(api.address, credentials.createInsecure());
  await client.openFunded('acc-a', 1_000n);
  await client.openFunded('__proto__', 1_000n);
});
afterAll(async () => {
  raw?.close();
  await system.close();
});

/** A length-delimited field. */
const field = (number: number, content: Uint8Array) =>
  Buffer.concat([Buffer.from([(number << 3) | 2, content.length]), content]);

/** An entry of the map that is the field of that number. */
const entry = (number: number, key: string, value: string) =>
  field(number, Buffer.concat([field(1, Buffer.from(key)), field(2, Buffer.from(value))]));

function send(method: string, bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + 30_000 };
    raw.makeUnaryRequest(
      `/payment.v1.${method}`,
      (each: Buffer) => each,
      (each: Buffer) => each,
      Buffer.from(bytes),
      options,
      (error: ServiceError | null, answer) => (error === null ? resolve(answer!) : reject(error)),
    );
  });
}

const payment = (overrides: Partial<AuthorizePaymentRequest> = {}) =>
  AuthorizePaymentRequest.encode(
    AuthorizePaymentRequest.fromPartial({
      idempotencyKey: crypto.randomUUID(),
      payerAccountId: 'acc-a',
      payeeAccountId: 'external-RUB',
      amountCents: 1n,
      currency: 'RUB',
      ...overrides,
    }),
  ).finish();

async function violationsOf(call: Promise<unknown>) {
  const error: ServiceError = await call.then(
    () => expect.fail('it was let in'),
    (failure) => failure,
  );
  expect(error.code).toBe(status.INVALID_ARGUMENT);
  return errorDetails(error).badRequest?.fieldViolations.map(({ field: name, description }) => [name, description]);
}

const NAMED = 'must not have the key __proto__';

describe('the key __proto__ is named, and nothing is stored', () => {
  test.each([
    ['alone', [entry(8, '__proto__', 'x')]],
    ['with an empty value', [entry(8, '__proto__', '')]],
    ['beside another', [entry(8, 'order', '1'), entry(8, '__proto__', 'x')]],
  ])('of AuthorizePayment, %s', async (_case, entries) => {
    const before = await system.database.query('select from payments');
    const bytes = Buffer.concat([payment(), ...entries]);
    expect(await violationsOf(send('PaymentService/AuthorizePayment', bytes))).toEqual([['metadata', NAMED]]);
    expect(await system.database.query('select from payments')).toHaveLength(before.length);
  });

  test('of UpdateAccount', async () => {
    const account = Buffer.concat([
      Account.encode(Account.fromPartial({ accountId: 'acc-a' })).finish(),
      entry(9, '__proto__', 'x'),
    ]);
    const mask = UpdateAccountRequest.encode(UpdateAccountRequest.fromPartial({ updateMask: ['metadata'] })).finish();
    const bytes = Buffer.concat([field(1, account), mask]);
    expect(await violationsOf(send('AccountService/UpdateAccount', bytes))).toEqual([['account.metadata', NAMED]]);
  });
});

test('the keys constructor, prototype and toString are kept, and so is the text __proto__ where it is a value', async () => {
  const keys = { constructor: 'a', prototype: 'b', toString: 'c', proto: '__proto__' };
  const bytes = Buffer.concat([
    payment({ payeeAccountId: '__proto__', description: '__proto__', reference: '__proto__' }),
    ...Object.entries(keys).map(([key, value]) => entry(8, key, value)),
  ]);
  const { paymentId, error } = AuthorizePaymentResponse.decode(await send('PaymentService/AuthorizePayment', bytes));
  expect(error).toBeUndefined();
  const stored = await client.payment(paymentId);
  expect(Object.entries(stored!.metadata).sort()).toEqual(Object.entries(keys).sort());
  expect(stored).toMatchObject({ payeeAccountId: '__proto__', description: '__proto__', reference: '__proto__' });
  const [row] = await system.database.query<{ metadata: object; payload: { metadata: object } }>(
    `select metadata, payload from payments join outbox on id = payment_id where reference = '__proto__'`,
  );
  expect(row!.metadata).toEqual(keys);
  expect(row!.payload.metadata).toEqual(keys);
});
