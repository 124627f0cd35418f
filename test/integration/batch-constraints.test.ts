import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/database.ts';

// What Postgres must reject of batches whatever the code does, so the code is left out of it.
let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.close());

let batch: string;
beforeEach(() => {
  batch = randomUUID();
});

const DIGEST = String.raw`'\x01'`;

/** The first item of a batch of three, by the application's role, with what is told otherwise. */
function insert(overrides: Record<string, string> = {}) {
  const columns = {
    payment_id: `'${batch}'`,
    payer_account_id: `'a'`,
    payee_account_id: `'b'`,
    amount_cents: '1',
    currency: `'RUB'`,
    status: `'AUTHORIZED'`,
    description: `''`,
    payer_version: '1',
    payee_version: '1',
    created_at: 'now()',
    batch_id: `'${batch}'`,
    batch_item: '0',
    batch_actions: `array['${batch}'::uuid, gen_random_uuid(), gen_random_uuid()]`,
    request_digest: DIGEST,
    ...overrides,
  };
  return database.application.query(
    `insert into payments (${Object.keys(columns).join(', ')}) values (${Object.values(columns).join(', ')})`,
  );
}

/** Likewise the item that declined it. */
const insertDeclined = (overrides: Record<string, string> = {}) =>
  insert({
    status: `'DECLINED'`,
    payer_version: 'null',
    payee_version: 'null',
    decline_code: `'INSUFFICIENT_FUNDS'`,
    decline_message: `'none'`,
    batch_item: '2',
    batch_actions: 'null',
    ...overrides,
  });

/** Likewise one of the others. */
const insertItem = (item: number, overrides: Record<string, string> = {}) =>
  insert({
    payment_id: 'gen_random_uuid()',
    batch_item: String(item),
    batch_actions: 'null',
    request_digest: 'null',
    ...overrides,
  });

test('a batch, taken or declined, is let in, and its rows never change', async () => {
  await insert();
  await insertItem(1);
  await insertItem(2);
  await expect(database.query(`update payments set batch_item = 5 where batch_id = '${batch}'`)).rejects.toThrow(
    'append-only',
  );
  batch = randomUUID();
  await insertDeclined();
});

describe('the row with the id of its batch has', () => {
  test.each([
    ['no actions', { batch_actions: 'null' }],
    ['actions of none', { batch_actions: `'{}'` }],
    ['a hundred and one actions', { batch_actions: 'array_fill(PAYMENT, array[101])' }],
    ['another as the first of its actions', { batch_actions: 'array[gen_random_uuid(), PAYMENT]' }],
    ['no digest', { request_digest: 'null' }],
    ['no item', { batch_item: 'null' }],
    ['an item that is not the first', { batch_item: '1' }],
    [
      'the kind of what nobody asks for',
      {
        kind: `'EXPIRY'`,
        parent_id: 'gen_random_uuid()',
        released_cents: '1',
        payee_version: 'null',
        amount_cents: '0',
      },
    ],
  ])('never %s', async (_case, overrides) => {
    const values = Object.entries(overrides).map(([column, value]) => [
      column,
      value.replace('PAYMENT', `'${batch}'::uuid`),
    ]);
    await expect(insert(Object.fromEntries(values))).rejects.toThrow('columns_fit_batch');
  });

  test.each([
    ['an item after the hundredth', { batch_item: '100' }],
    ['an item below the first', { batch_item: '-1' }],
    ['no item', { batch_item: 'null' }],
    ['no digest', { request_digest: 'null' }],
    ['actions', { batch_actions: 'array[gen_random_uuid()]' }],
  ])('never, if it is declined, %s', async (_case, overrides) => {
    await expect(insertDeclined(overrides)).rejects.toThrow('columns_fit_batch');
  });
});

describe('another row of a batch has', () => {
  test.each([
    ['no item', { batch_item: 'null' }],
    ['the first item', { batch_item: '0' }],
    ['an item after the hundredth', { batch_item: '100' }],
    ['actions', { batch_actions: 'array[gen_random_uuid()]' }],
    ['a digest', { request_digest: DIGEST }],
    [
      'been declined',
      {
        status: `'DECLINED'`,
        payer_version: 'null',
        payee_version: 'null',
        decline_code: `'X'`,
        decline_message: `'x'`,
      },
    ],
    [
      'the kind of what nobody asks for',
      {
        kind: `'EXPIRY'`,
        parent_id: 'gen_random_uuid()',
        released_cents: '1',
        payee_version: 'null',
        amount_cents: '0',
      },
    ],
  ])('never %s', async (_case, overrides) => {
    await expect(insertItem(1, overrides)).rejects.toThrow('columns_fit_batch');
  });
});

describe('a row without a batch has', () => {
  test.each([
    ['no item', { batch_item: '0' }],
    ['no actions', { batch_actions: 'array[gen_random_uuid()]' }],
    ['no digest', { request_digest: DIGEST }],
  ])('%s', async (_case, overrides) => {
    const alone = { batch_id: 'null', batch_item: 'null', batch_actions: 'null', request_digest: 'null' };
    await expect(insert({ ...alone, ...overrides })).rejects.toThrow('columns_fit_batch');
    await insert(alone);
  });
});
