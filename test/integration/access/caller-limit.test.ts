import { type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LedgerClient } from '../../../tools/client.ts';
import { filesIn, statusOf } from '../../support/callers.ts';
import { errorDetails } from '../../support/error-details.ts';
import { type ApiProcess, createSystem, type System } from '../../support/system.ts';
import { AUDIENCE, ISSUER, type SigningKey, signingKey } from '../../support/tokens.ts';

let system: System;
let api: ApiProcess;
let key: SigningKey;

beforeAll(async () => {
  system = await createSystem();
  key = await signingKey('key-1');
  api = await system.startApi({
    AUTH_JWKS_FILE: filesIn({ jwks: JSON.stringify({ keys: [key.jwk] }) })('jwks'),
    AUTH_ISSUER: ISSUER,
    AUTH_AUDIENCE: AUDIENCE,
    RATE_LIMIT_CALLER_CAPACITY: '3',
    RATE_LIMIT_CALLER_REFILL_PER_SECOND: '1',
  });
});

afterAll(() => system.close());

test('a caller that calls too often is told when to come again; others, and payers of its name, are not concerned', async () => {
  const name = crypto.randomUUID();
  const client = async (sub: string) => new LedgerClient(api.address, undefined, await key.token({ sub }));
  const [busy, other] = [await client(name), await client(crypto.randomUUID())];

  // Three are in the bucket and one flows back each second, so of so many at once most are too many.
  const payment = { payerAccountId: name, payeeAccountId: 'x', amountCents: 1n };
  const limited = async (call: Promise<unknown>) =>
    call.then(
      () => undefined,
      (error: ServiceError) => (error.code === status.RESOURCE_EXHAUSTED ? error : undefined),
    );
  const turns = Array.from({ length: 20 }, () => [limited(busy.balance('nobody')), limited(busy.authorize(payment))]);
  for (const kind of [0, 1]) {
    const errors = (await Promise.all(turns.map((turn) => turn[kind]))).filter((error) => error !== undefined);
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) {
      const { errorInfo, retryInfo } = errorDetails(error);
      expect(errorInfo?.reason).toBe('CALLER_RATE_LIMITED');
      expect(retryInfo?.retryDelay).toBeDefined();
    }
  }
  expect((await Promise.all(turns.flat())).filter((error) => error === undefined).length).toBeGreaterThanOrEqual(3);
  expect(await statusOf(other.authorize(payment))).toBe('OK');
  for (const each of [busy, other]) each.close();
});
