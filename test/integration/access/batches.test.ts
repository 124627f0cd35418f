import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccountType } from '../../../src/gen/payment/v1/account.ts';
import type { PaymentBatchItem } from '../../../src/gen/payment/v1/payment.ts';
import { LedgerClient } from '../../../tools/client.ts';
import { captureItem, holdItem, refundItem, transferItem, voidItem } from '../../support/batches.ts';
import { auditBooks } from '../../support/books.ts';
import { filesIn, statusOf } from '../../support/callers.ts';
import { errorDetails } from '../../support/error-details.ts';
import { rejection } from '../../support/rejection.ts';
import { type ApiProcess, createSystem, type System } from '../../support/system.ts';
import { AUDIENCE, ISSUER, type SigningKey, signingKey } from '../../support/tokens.ts';

// Each item needs what its method needs, and a batch with one that is denied is denied.
const CLAIM = 'https://bank.example/accounts';
const NOT_ADMIN = 'payments.authorize payments.read';

let system: System;
let api: ApiProcess;
let key: SigningKey;
let treasury: LedgerClient;
const clients: LedgerClient[] = [];

beforeAll(async () => {
  system = await createSystem();
  key = await signingKey('key-1');
  const file = filesIn({ jwks: JSON.stringify({ keys: [key.jwk] }) })('jwks');
  api = await system.startApi({
    AUTH_JWKS_FILE: file,
    AUTH_ISSUER: ISSUER,
    AUTH_AUDIENCE: AUDIENCE,
    AUTH_ACCOUNTS_CLAIM: CLAIM,
  });
  treasury = await clientFor(['*']);
  for (const account of ['buyer', 'shop', 'other']) await treasury.openFunded(account, 10_000n);
});
afterAll(async () => {
  for (const client of clients) client.close();
  expect(await auditBooks(system.database)).toEqual([]);
  await system.close();
});

async function clientFor(accounts: string[], scope?: string): Promise<LedgerClient> {
  const claims = { [CLAIM]: accounts, sub: accounts.join(), exp: Date.now() / 1_000 + 3_600 };
  const token = await key.token({ ...claims, ...(scope !== undefined && { scope }) });
  const client = new LedgerClient(api.address, undefined, token);
  clients.push(client);
  return client;
}

const item = (payerAccountId: string, payeeAccountId: string) => ({ payerAccountId, payeeAccountId, amountCents: 1n });

async function payments() {
  const pair = { payerAccountId: 'buyer', payeeAccountId: 'shop', amountCents: 10n };
  const [paid, held] = [await treasury.authorize(pair), await treasury.hold(pair)];
  return { paid: paid.paymentId, held: held.payment!.paymentId };
}

/** How the batch of a good item and this one ends; nothing of it is stored then, and its key is free. */
async function denied(client: LedgerClient, good: PaymentBatchItem, bad: PaymentBatchItem) {
  const idempotencyKey = crypto.randomUUID();
  const error = await rejection(client.batch([good, bad], idempotencyKey));
  expect(await statusOf(treasury.paymentByKey(idempotencyKey))).toBe('NOT_FOUND');
  const rows = await system.database.query('select from idempotency_keys where key = $1', [idempotencyKey]);
  expect(rows).toEqual([]);
  return { code: await statusOf(Promise.reject(error)), error, info: errorDetails(error).errorInfo };
}

describe('a batch of a caller that is bound to accounts', () => {
  test('may pay, hold, capture and void as the payer, and refund as the payee', async () => {
    const { paid, held } = await payments();
    const both = await clientFor(['buyer', 'shop'], NOT_ADMIN);
    const items = [
      transferItem(item('buyer', 'shop')),
      holdItem(item('shop', 'buyer')),
      captureItem(held, { amountCents: 1n, keepRemainder: true }),
      voidItem(held),
      refundItem(paid),
    ];
    expect((await both.batch(items)).error).toBeUndefined();
  });

  test('is denied for one item that the caller may not do, and the message names it', async () => {
    const { paid, held } = await payments();
    const [buyer, shop] = [await clientFor(['buyer'], NOT_ADMIN), await clientFor(['shop'], NOT_ADMIN)];
    const mine = (account: string) => transferItem(item(account, 'other'));
    const cases = [
      [buyer, 'buyer', transferItem(item('shop', 'buyer')), 'items[1].transfer', 'shop'],
      [buyer, 'buyer', holdItem(item('other', 'buyer')), 'items[1].hold', 'other'],
      [shop, 'shop', captureItem(held), 'items[1].capture', 'buyer'],
      [shop, 'shop', voidItem(held), 'items[1].void', 'buyer'],
      [buyer, 'buyer', refundItem(paid), 'items[1].refund', 'shop'],
    ] as const;
    for (const [client, account, bad, field, needed] of cases) {
      const { code, error, info } = await denied(client, mine(account), bad);
      expect([field, code]).toEqual([field, 'PERMISSION_DENIED']);
      expect(error.details).toContain(field);
      expect(info).toMatchObject({ reason: 'ACCOUNT_NOT_ALLOWED', metadata: { account_id: needed } });
    }
  });

  test('is NOT_FOUND for a payment between others, as one that does not exist', async () => {
    const { paid } = await payments();
    const other = await clientFor(['other'], NOT_ADMIN);
    for (const id of [paid, '01ARZ3NDEKTSV4RRFFQ69G5FAV']) {
      const { code, error } = await denied(other, transferItem(item('other', 'shop')), captureItem(id));
      expect(code).toBe('NOT_FOUND');
      expect(error.details).toBe(`items[1].capture: There is no payment ${id}.`);
    }
  });
});

test('a batch needs the scope payments.authorize', async () => {
  const reader = await clientFor(['*'], 'payments.read accounts.admin');
  const { code, info } = await denied(reader, transferItem(item('buyer', 'shop')), transferItem(item('buyer', 'shop')));
  expect(code).toBe('PERMISSION_DENIED');
  expect(info).toMatchObject({ reason: 'SCOPE_MISSING', metadata: { scope: 'payments.authorize' } });
});

describe('an item that brings money into the books', () => {
  test.each([
    ['a transfer', async (world: string) => transferItem(item(world, 'shop'))],
    ['a hold', async (world: string) => holdItem(item(world, 'shop'))],
    ['a capture', async (world: string) => captureItem((await treasury.hold(item(world, 'shop'))).payment!.paymentId)],
    ['a refund', async (world: string) => refundItem((await treasury.authorize(item('shop', world))).paymentId)],
  ])('%s, needs accounts.admin, in whichever place it comes', async (_case, make) => {
    // A new account each, as the process remembers those that it has found to be EXTERNAL.
    for (const turn of ['unknown', 'known']) {
      const world = `world-${crypto.randomUUID()}`;
      await treasury.open(world, { type: AccountType.ACCOUNT_TYPE_EXTERNAL });
      const clerk = await clientFor(['shop', world], NOT_ADMIN);
      const bad = await make(world);
      const { code, info } = await denied(clerk, transferItem(item('shop', 'buyer')), bad);
      expect([turn, code]).toEqual([turn, 'PERMISSION_DENIED']);
      expect(info).toMatchObject({ reason: 'SCOPE_MISSING', metadata: { scope: 'accounts.admin', account_id: world } });
      if (turn === 'known') await denied(clerk, transferItem(item('shop', 'buyer')), bad);
      expect((await treasury.batch([bad])).error).toBeUndefined();
    }
  });

  test('a void of a hold from outside needs nothing more', async () => {
    const world = `world-${crypto.randomUUID()}`;
    await treasury.open(world, { type: AccountType.ACCOUNT_TYPE_EXTERNAL });
    const held = (await treasury.hold(item(world, 'shop'))).payment!.paymentId;
    const clerk = await clientFor([world], NOT_ADMIN);
    expect((await clerk.batch([voidItem(held)])).error).toBeUndefined();
  });
});
