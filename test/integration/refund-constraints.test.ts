import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { freeze } from '../support/refunds.ts';

// What Postgres must reject of refunds whatever the code does, so the code is left out of it.
let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.close());

let payer: string;
let payee: string;
let payment: string;

/** A payment of 100, of which 40 are refunded. */
beforeEach(async () => {
  [payer, payee, payment] = [randomUUID(), randomUUID(), randomUUID()];
  await database.query(
    `insert into accounts
     select account_id, 'RUB', 'CUSTOMER', 100, now() - interval '1 hour' from unnest($1::text[]) as account_id`,
    [[payer, payee]],
  );
  await database.query('insert into account_balances (account_id) select unnest($1::text[])', [[payer, payee]]);
  await move({ debit: payer, credit: payee, cents: 100 });
  await database.query(
    `insert into payment_balances (payment_id, payer_account_id, payee_account_id, amount_cents, held_cents,
       captured_cents, released_cents, refunded_cents, actions, updated_at)
     values ($1, $2, $3, 100, 0, 100, 0, 0, 0, now())`,
    [payment, payer, payee],
  );
  await change('refunded_cents = 40, actions = 1');
  await move({ debit: payee, credit: payer, cents: 40 });
});

/** By the application's role, as all that follows. */
function change(set: string) {
  return database.application.query(`update payment_balances set ${set} where payment_id = $1`, [payment]);
}

/** Writes both entries and both balances of one movement, credited is what the credit says if it is another amount. */
function move({
  debit,
  credit,
  cents,
  credited = cents,
}: Record<'debit' | 'credit', string> & { cents: number; credited?: number }) {
  return database.application.query(
    `with moved as (
       select account_id, version + 1 as version, case account_id when $1 then 'DEBIT' else 'CREDIT' end as direction,
         available_cents + case account_id when $1 then -$3::bigint else $4::bigint end as available_cents,
         case account_id when $1 then $3::bigint else $4::bigint end as cents
       from account_balances where account_id in ($1, $2)
     ), entered as (
       insert into ledger_entries (account_id, version, payment_id, direction, amount_cents, balance_after_cents, created_at)
       select account_id, version, $5::uuid, direction::entry_direction, cents, available_cents, clock_timestamp() from moved
     )
     update account_balances balance set available_cents = moved.available_cents, version = moved.version
     from moved where moved.account_id = balance.account_id`,
    [debit, credit, cents, credited, randomUUID()],
  );
}

describe('what is refunded of a payment', () => {
  test.each([
    ['falls', 'refunded_cents = 39'],
    ['falls to nothing', 'refunded_cents = 0, actions = 0'],
    ['is of fewer refunds than before', 'actions = 0'],
    ['is of an earlier time', `updated_at = '2020-01-01'`],
  ])('never %s', async (_case, set) => {
    await expect(change(set)).rejects.toThrow(/payments_go_forward|may not go back/);
  });

  test.each([
    ['more than was captured', 'refunded_cents = 101', 'refunds_are_of_what_was_captured'],
    [
      'more than the amount, captured likewise',
      'refunded_cents = 101, captured_cents = 101',
      'amount_is_held_captured',
    ],
    ['taken off what was captured', 'captured_cents = 60, released_cents = 40', 'may not go back|only_holds_expire'],
    ['on hold again', 'captured_cents = 60, held_cents = 40', 'may not go back'],
    ['in more than 100 actions', 'refunded_cents = 41, actions = 101', 'actions_check'],
  ])('is never %s', async (_case, set, reason) => {
    await expect(change(set)).rejects.toThrow(new RegExp(reason));
  });

  test('rises up to what was captured', async () => {
    await change('refunded_cents = 100, actions = 2');
  });

  test('is not begun anew', async () => {
    const again = `insert into payment_balances (payment_id, payer_account_id, payee_account_id, amount_cents, held_cents,
       captured_cents, released_cents, refunded_cents, actions, updated_at)
     select payment_id, payer_account_id, payee_account_id, amount_cents, 0, amount_cents, 0, 0, 0, now()
     from payment_balances where payment_id = $1`;
    await expect(database.application.query(again, [payment])).rejects.toThrow('payment_balances_pkey');
    const gone = 'delete from payment_balances where payment_id = $1';
    await expect(database.application.query(gone, [payment])).rejects.toThrow('permission denied');
    await expect(database.query(gone, [payment])).rejects.toThrow('append-only');
  });
});

describe('the entries of a refund', () => {
  test('sum to zero', async () => {
    await expect(move({ debit: payee, credit: payer, cents: 10, credited: 11 })).rejects.toThrow('sum to zero');
  });

  test('leave the payee within its overdraft limit', async () => {
    await expect(move({ debit: payee, credit: payer, cents: 161 })).rejects.toThrow('no_overdraft_beyond_limit');
    await move({ debit: payee, credit: payer, cents: 160 });
  });

  test.each([
    ["the payee's debits", () => payee, { debits: true }],
    ["the payer's credits", () => payer, { credits: true }],
  ])('are none while %s are frozen', async (_case, account, frozen) => {
    await freeze(database, account(), frozen);
    await expect(move({ debit: payee, credit: payer, cents: 10 })).rejects.toThrow(/is frozen: .* is rejected/);
  });

  test.each([
    ["the payee's credits", () => payee, { credits: true }],
    ["the payer's debits", () => payer, { debits: true }],
  ])('may be while %s are frozen', async (_case, account, frozen) => {
    await freeze(database, account(), frozen);
    await move({ debit: payee, credit: payer, cents: 10 });
  });
});

describe('a row of payments may not be', () => {
  const refund = { kind: `'REFUND'`, parent_id: 'gen_random_uuid()', payer_version: '1', payee_version: '1' };
  const declined = {
    ...{ kind: `'REFUND'`, parent_id: 'gen_random_uuid()', status: `'DECLINED'` },
    ...{ decline_code: `'INSUFFICIENT_FUNDS'`, decline_message: `'No.'` },
  };

  function insertPayment(overrides: Record<string, string>) {
    const columns = {
      ...{ payment_id: 'gen_random_uuid()', payer_account_id: `'a'`, payee_account_id: `'b'`, amount_cents: '10' },
      ...{ currency: `'RUB'`, status: `'AUTHORIZED'`, description: `''`, created_at: 'now()' },
      ...overrides,
    };
    return database.application.query(
      `insert into payments (${Object.keys(columns).join(', ')}) values (${Object.values(columns).join(', ')})`,
    );
  }

  test('anything but these', async () => {
    await insertPayment(refund);
    await insertPayment({ ...refund, requested_cents: '10' });
    await insertPayment({ ...declined, requested_cents: '10' });
    // Of all that is left.
    await insertPayment({ ...declined, amount_cents: '0' });
  });

  test.each([
    ['a refund of no payment', { ...refund, parent_id: 'null' }],
    ['a refund of nothing', { ...refund, amount_cents: '0' }],
    ['a refund of less than nothing', { ...refund, amount_cents: '-1' }],
    ['a refund that was asked for nothing', { ...refund, requested_cents: '0' }],
    ['a refund that releases', { ...refund, released_cents: '0' }],
    ['a refund that keeps', { ...refund, keep_remainder: 'false' }],
    ['a refund that ends', { ...refund, expires_at: `now() + interval '1 day'` }],
    ['a refund without an entry of the payee', { ...refund, payee_version: 'null' }],
    ['a refund without an entry of the payer', { ...refund, payer_version: 'null' }],
    ['a declined refund with entries', { ...declined, payer_version: '1', payee_version: '1' }],
    ['a declined refund without a reason', { ...declined, decline_code: 'null' }],
  ])('%s', async (_case, row) => {
    await expect(insertPayment(row)).rejects.toThrow('check constraint');
  });
});
