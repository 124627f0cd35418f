import type { ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccountType } from '../../../src/gen/payment/v1/account.ts';
import { PaymentStatus } from '../../../src/gen/payment/v1/payment.ts';
import { LedgerClient } from '../../../tools/client.ts';
import { auditBooks } from '../../support/books.ts';
import { filesIn, statusOf } from '../../support/callers.ts';
import { errorDetails } from '../../support/error-details.ts';
import { type ApiProcess, createSystem, type System } from '../../support/system.ts';
import { AUDIENCE, ISSUER, type SigningKey, signingKey } from '../../support/tokens.ts';

const { ACCOUNT_TYPE_EXTERNAL } = AccountType;
const { PAYMENT_STATUS_AUTHORIZED, PAYMENT_STATUS_DUPLICATE } = PaymentStatus;

let system: System;
let api: ApiProcess;
let key: SigningKey;
/** May do everything. */
let treasury: LedgerClient;
/** May authorize payments and read them, and not bring money into the books. */
let shop: LedgerClient;
let otherShop: LedgerClient;

beforeAll(async () => {
  system = await createSystem();
  key = await signingKey('key-1');
  const file = filesIn({ jwks: JSON.stringify({ keys: [key.jwk] }) })('jwks');
  api = await system.startApi({ AUTH_JWKS_FILE: file, AUTH_ISSUER: ISSUER, AUTH_AUDIENCE: AUDIENCE });
  const client = async (sub: string, scope?: string) =>
    new LedgerClient(
      api.address,
      undefined,
      await key.token({ sub, exp: Date.now() / 1_000 + 3_600, ...(scope && { scope }) }),
    );
  treasury = await client('treasury');
  shop = await client('shop', 'payments.authorize payments.read');
  otherShop = await client('other-shop', 'payments.authorize payments.read');
  await treasury.openFunded('customer-1', 1_000_000n);
  await treasury.open('customer-2');
});

afterAll(async () => {
  for (const client of [treasury, shop, otherShop]) client?.close();
  await system.close();
});

const failure = (call: Promise<unknown>): Promise<ServiceError> =>
  call.then(
    () => expect.fail('it was let in'),
    (error) => error,
  );

function payment(payerAccountId: string, idempotencyKey: string = crypto.randomUUID()) {
  return { idempotencyKey, payerAccountId, payeeAccountId: 'customer-2', amountCents: 5n };
}

async function stored(idempotencyKey: string): Promise<number> {
  const rows = await system.database.query('select 1 from idempotency_keys where key = $1', [idempotencyKey]);
  return rows.length;
}

describe('paying from an EXTERNAL account', () => {
  test('needs accounts.admin: else PERMISSION_DENIED, nothing is stored and the key stays free', async () => {
    // A new account each: what the process does not know yet, and then what it knows.
    for (const external of ['outside-1', 'outside-2']) {
      await treasury.open(external, { type: ACCOUNT_TYPE_EXTERNAL });
      for (const turn of ['first', 'second']) {
        const request = payment(external);
        const error = await failure(shop.authorize(request));
        expect([turn, await statusOf(Promise.reject(error))]).toEqual([turn, 'PERMISSION_DENIED']);
        expect(errorDetails(error).errorInfo).toMatchObject({
          reason: 'SCOPE_MISSING',
          metadata: { scope: 'accounts.admin', account_id: external },
        });
        expect(await stored(request.idempotencyKey)).toBe(0);
        const again = await shop.authorize({ ...request, payerAccountId: 'customer-1' });
        expect(again.status).toBe(PAYMENT_STATUS_AUTHORIZED);
      }
      expect((await treasury.authorize(payment(external))).status).toBe(PAYMENT_STATUS_AUTHORIZED);
    }
    const logged = (line: string) =>
      ['call denied', '"caller":"shop"', 'outside-1'].every((part) => line.includes(part));
    await expect.poll(() => api.log.some(logged)).toBe(true);
  });

  test('is denied as well to a payment that races with the opening of the account', async () => {
    const races = Array.from({ length: 40 }, (_, index) => `racing-${index}`);
    const attempts = await Promise.all(
      races.map(async (external) => {
        const request = payment(external);
        const paying = (delayMs: number) =>
          new Promise((resume) => setTimeout(resume, delayMs)).then(() => statusOf(shop.authorize(request)));
        const opening = treasury.open(external, { type: ACCOUNT_TYPE_EXTERNAL });
        const statuses = [await paying(0), await paying(Math.random() * 20)];
        await opening;
        return { external, request, statuses, last: await statusOf(shop.authorize(request)) };
      }),
    );
    // An account that is not there yet is a decline, which is stored; afterwards it is never let in.
    const authorized = await system.database.query(
      `select 1 from payments where payer_account_id like 'racing-%' and status = 'AUTHORIZED'`,
    );
    expect(authorized).toEqual([]);
    expect(attempts.map(({ last }) => last)).toEqual(attempts.map(() => 'PERMISSION_DENIED'));
    for (const { request, statuses } of attempts) {
      expect(await stored(request.idempotencyKey)).toBe(statuses.includes('OK') ? 1 : 0);
    }
    expect(await auditBooks(system.database)).toEqual([]);
  });

  test('that is denied fails alone, not those that share its transaction', async () => {
    const externals = Array.from({ length: 5 }, (_, index) => `sharing-${index}`);
    for (const external of externals) await treasury.open(external, { type: ACCOUNT_TYPE_EXTERNAL });
    const denied: Promise<string>[] = [];
    const allowed = [];
    for (let index = 0; index < 200; index += 1) {
      allowed.push(otherShop.authorize(payment('customer-1')));
      // In the midst of the others, so that some are decided together.
      if (index % 40 === 20) denied.push(statusOf(shop.authorize(payment(externals[denied.length]!))));
    }
    expect(await Promise.all(denied)).toEqual(externals.map(() => 'PERMISSION_DENIED'));
    expect((await Promise.all(allowed)).map(({ status }) => status)).toEqual(
      allowed.map(() => PAYMENT_STATUS_AUTHORIZED),
    );
    expect(await auditBooks(system.database)).toEqual([]);
  });
});

test('a key belongs to its caller: the same key of another is another key, and tells nothing', async () => {
  const request = payment('customer-1');
  const one = await shop.authorize(request);
  // Another amount: were it the same key, the answer would be ALREADY_EXISTS.
  const two = await otherShop.authorize({ ...request, amountCents: 6n });
  expect([one.status, two.status]).toEqual([PAYMENT_STATUS_AUTHORIZED, PAYMENT_STATUS_AUTHORIZED]);
  expect(two.paymentId).not.toBe(one.paymentId);

  const again = [await shop.authorize(request), await otherShop.authorize({ ...request, amountCents: 6n })];
  expect(again.map(({ status }) => status)).toEqual([PAYMENT_STATUS_DUPLICATE, PAYMENT_STATUS_DUPLICATE]);
  expect(again.map(({ paymentId }) => paymentId)).toEqual([one.paymentId, two.paymentId]);

  const callers = await system.database.query<{ caller: string }>(
    'select caller from idempotency_keys where key = $1 order by caller',
    [request.idempotencyKey],
  );
  expect(callers).toEqual([{ caller: 'other-shop' }, { caller: 'shop' }]);
});

test('holding and capturing from an EXTERNAL account need accounts.admin, voiding does not', async () => {
  await treasury.open('outside-hold', { type: ACCOUNT_TYPE_EXTERNAL });
  const request = payment('outside-hold');
  expect(await statusOf(shop.hold(request))).toBe('PERMISSION_DENIED');
  expect(await stored(request.idempotencyKey)).toBe(0);
  const held = await treasury.hold(request);
  const { paymentId } = held.payment!;
  const idempotencyKey = crypto.randomUUID();
  const error = await failure(otherShop.capture(paymentId, { idempotencyKey }));
  expect(await statusOf(Promise.reject(error))).toBe('PERMISSION_DENIED');
  expect(errorDetails(error).errorInfo).toMatchObject({ reason: 'SCOPE_MISSING' });
  expect(await stored(idempotencyKey)).toBe(0);
  expect((await treasury.capture(paymentId, { amountCents: 1n, keepRemainder: true })).action!.error).toBeUndefined();
  expect((await shop.void(paymentId)).payment).toMatchObject({ releasedCents: 4n });
});
