import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/database.ts';

// What Postgres must reject of holds whatever the code does, so the code is left out of it.
let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.close());

let payer: string;
let payee: string;
let payment: string;

/** A hold of 100 of a payer who has 150, with 30 captured, 20 released and 50 still held. */
beforeEach(async () => {
  [payer, payee, payment] = [randomUUID(), randomUUID(), randomUUID()];
  await database.query(
    `insert into accounts values ('${payer}', 'RUB', 'CUSTOMER', 150, now()), ('${payee}', 'RUB', 'CUSTOMER', 0, now())`,
  );
  await database.query(`insert into account_balances (account_id, currency) values ('${payer}', ''), ('${payee}', '')`);
  await database.query(
    `update account_balances set available_cents = case account_id when '${payer}' then -150 else 30 end
     where account_id in ('${payer}', '${payee}')`,
  );
  await insertBalance({});
  await database.query(
    `update payment_balances set held_cents = 50, captured_cents = 30, released_cents = 20, actions = 1
     where payment_id = '${payment}'`,
  );
});

function insertBalance(overrides: Record<string, string>) {
  const columns = {
    payment_id: `'${payment}'`,
    payer_account_id: `'${payer}'`,
    payee_account_id: `'${payee}'`,
    amount_cents: '100',
    held_cents: '100',
    captured_cents: '0',
    released_cents: '0',
    refunded_cents: '0',
    actions: '0',
    expires_at: `'2100-01-01'`,
    updated_at: `'2026-01-01'`,
    ...overrides,
  };
  return database.query(
    `insert into payment_balances (${Object.keys(columns).join(', ')}) values (${Object.values(columns).join(', ')})`,
  );
}

function update(set: string) {
  return database.query(`update payment_balances set ${set} where payment_id = '${payment}'`);
}

describe('the balance of a payment', () => {
  test.each([
    ['more than the amount together', 'captured_cents = 31', 'amount_is_held_captured_or_released'],
    ['less than the amount together', 'held_cents = 49', 'amount_is_held_captured_or_released'],
    ['more refunded than captured', 'refunded_cents = 31', 'refunds_are_of_what_was_captured'],
    ['less than nothing held', 'held_cents = -1, captured_cents = 81', 'held_cents_check'],
    ['more than 100 actions', 'actions = 101', 'actions_check'],
    ['open, said so', 'open = true', 'can only be updated to DEFAULT'],
    ['more held than before', 'held_cents = 51, captured_cents = 29', 'payments_go_forward'],
    ['less captured than before', 'captured_cents = 29, released_cents = 21', 'payments_go_forward'],
    ['less released than before', 'captured_cents = 31, released_cents = 19', 'payments_go_forward'],
    ['fewer actions than before', 'actions = 0', 'payments_go_forward'],
    ['an earlier time', `updated_at = '2025-01-01'`, 'payments_go_forward'],
    ['another time to expire', `expires_at = '2101-01-01'`, 'payments_go_forward'],
    ['no time to expire', 'expires_at = null', 'payments_go_forward'],
    ['another amount', 'amount_cents = 200', 'payments_go_forward'],
    ['another payer', `payer_account_id = 'x'`, 'payments_go_forward'],
    ['another payee', `payee_account_id = 'x'`, 'payments_go_forward'],
    ['another payment', 'payment_id = gen_random_uuid()', 'payments_go_forward'],
  ])('may not be %s', async (_case, set, reason) => {
    await expect(update(set)).rejects.toThrow(messageOf(reason));
  });

  test('is never open again, once nothing is held', async () => {
    await update('held_cents = 0, released_cents = 70');
    const [row] = await database.query<{ open: boolean }>(
      `select open from payment_balances where payment_id = '${payment}'`,
    );
    expect(row!.open).toBe(false);
    await expect(update('held_cents = 10, released_cents = 60')).rejects.toThrow('may not go back');
    await expect(update('held_cents = 10, captured_cents = 20')).rejects.toThrow('may not go back');
  });

  test('may not be refunded less than before', async () => {
    await update('refunded_cents = 10');
    await expect(update('refunded_cents = 9')).rejects.toThrow('may not go back');
  });

  test.each([
    ['with something released', { held_cents: '60', released_cents: '40' }],
    ['with something refunded', { held_cents: '0', captured_cents: '100', refunded_cents: '1', expires_at: 'null' }],
    ['as a hold without an end', { expires_at: 'null' }],
    ['as a payment that expires', { held_cents: '0', captured_cents: '100' }],
    ['half held, half captured', { held_cents: '50', captured_cents: '50' }],
    ['with actions', { actions: '1' }],
  ])('may not begin %s', async (_case, overrides) => {
    payment = randomUUID();
    await expect(insertBalance(overrides)).rejects.toThrow('may not go back');
  });

  test('begins with all of it captured if it was never held', async () => {
    payment = randomUUID();
    await insertBalance({ held_cents: '0', captured_cents: '100', expires_at: 'null' });
  });

  test.each(['delete from payment_balances', 'truncate payment_balances'])('%s is rejected', async (statement) => {
    await expect(database.query(statement)).rejects.toThrow('append-only');
  });
});

describe('an account', () => {
  test.each([
    ['less than nothing pending', 'pending_cents = -1', 'pending_is_not_negative'],
    ['less than nothing incoming', 'incoming_cents = -1', 'incoming_is_not_negative'],
    [
      'more on hold than its funds and its limit',
      'available_cents = -151, pending_cents = 1',
      'no_overdraft_beyond_limit',
    ],
  ])('may not have %s', async (_case, set, reason) => {
    await expect(database.query(`update account_balances set ${set} where account_id = '${payer}'`)).rejects.toThrow(
      reason,
    );
  });

  test.each(['available_cents = 1', 'pending_cents = 1', 'incoming_cents = 1'])(
    'may not be closed with %s',
    async (set) => {
      await database.query(
        `update account_balances set available_cents = 0, pending_cents = 0, incoming_cents = 0 where account_id = '${payee}'`,
      );
      await database.query(`update account_balances set ${set} where account_id = '${payee}'`);
      const close = `insert into account_changes
      values (gen_random_uuid(), '${payee}', 2, 'CLOSED', 0, false, false, null, '', '', now())`;
      await expect(database.query(close)).rejects.toThrow('closed_holds_nothing');
    },
  );
});

interface Entry {
  account: string;
  version: number;
  direction: string;
  amount: number;
  posted: number;
  pending?: number | undefined;
  released?: number | undefined;
  at?: string;
}

/** Inserts the entries of one action with one statement. */
function insertEntries(...entries: Entry[]) {
  const action = randomUUID();
  const row = ({ account, version, direction, amount, posted, pending, released, at = 'now()' }: Entry) =>
    `('${account}', ${version}, '${action}', '${direction}'::entry_direction, ${amount}, ${posted}, ${at}::timestamptz,
      ${released ?? 'null'}::bigint, ${pending ?? 'null'}::bigint)`;
  return database.query(
    `insert into ledger_entries (account_id, version, payment_id, direction, amount_cents, balance_after_cents, created_at,
       released_cents, pending_after_cents) values ${entries.map(row).join(', ')}`,
  );
}

describe('the entries of', () => {
  beforeEach(async () => {
    await insertEntries({ account: payer, version: 1, direction: 'HOLD', amount: 100, posted: 0, pending: 100 });
  });

  const debit = { version: 2, direction: 'DEBIT', amount: 30 };
  const credit = { version: 1, direction: 'CREDIT', amount: 30, posted: 30 };

  test('a capture take what moves and what is released off what is pending', async () => {
    const capture = (pending: number | undefined, released: number | undefined) => [
      { ...debit, account: payer, posted: -30, pending, released },
      { ...credit, account: payee, released: 0 },
    ];
    for (const [pending, released] of [
      [100, 20],
      [70, 20],
      [undefined, 20],
      [50, 21],
      [50, undefined],
    ]) {
      await expect(insertEntries(...capture(pending, released))).rejects.toThrow('does not follow');
    }
    await insertEntries(...capture(50, 20));
  });

  test('a payment leave what is pending as it is', async () => {
    const pay = (pending?: number) => [
      { ...debit, account: payer, posted: -30, pending },
      { ...credit, account: payee },
    ];
    await expect(insertEntries(...pay())).rejects.toThrow('does not follow');
    await expect(insertEntries(...pay(70))).rejects.toThrow('does not follow');
    await insertEntries(...pay(100));
  });

  test.each([
    [
      'a hold',
      'HOLD',
      { posted: 0, pending: 140 },
      [
        { posted: 0, pending: 100 },
        { posted: -40, pending: 140 },
      ],
    ],
    [
      'a release',
      'RELEASE',
      { posted: 0, pending: 60 },
      [{ posted: 0 }, { posted: 40, pending: 60 }, { posted: 0, pending: 100 }],
    ],
  ])('%s leave what is posted as it is', async (_case, direction, right, wrong) => {
    const entry = { account: payer, version: 2, direction, amount: 40 };
    for (const each of wrong) await expect(insertEntries({ ...entry, ...each })).rejects.toThrow('does not follow');
    await insertEntries({ ...entry, ...right });
  });

  test('a release may not give back more than is pending', async () => {
    await expect(
      insertEntries({ account: payer, version: 2, direction: 'RELEASE', amount: 102, posted: 0, pending: -2 }),
    ).rejects.toThrow('pending_is_not_negative');
  });

  test('a hold or a release have nothing released beside their amount', async () => {
    const hold = { account: payer, version: 2, direction: 'HOLD', amount: 1, posted: 0, pending: 101, released: 1 };
    await expect(insertEntries(hold)).rejects.toThrow('only_captures_release');
  });

  test('an account never go back in time', async () => {
    const entry = { account: payer, version: 2, direction: 'HOLD', amount: 1, posted: 0, pending: 101 };
    await expect(insertEntries({ ...entry, at: `'2020-01-01'` })).rejects.toThrow('does not follow');
  });
});

describe('a row of payments may not be', () => {
  const hold = { kind: `'HOLD'`, expires_at: `now() + interval '1 day'`, payer_version: '1' };
  const capture = {
    kind: `'CAPTURE'`,
    parent_id: 'gen_random_uuid()',
    released_cents: '0',
    keep_remainder: 'false',
    payer_version: '1',
    payee_version: '1',
  };
  const release = {
    kind: `'VOID'`,
    parent_id: 'gen_random_uuid()',
    released_cents: '5',
    amount_cents: '0',
    payer_version: '1',
  };

  function insertPayment(overrides: Record<string, string>) {
    const columns = {
      payment_id: 'gen_random_uuid()',
      payer_account_id: `'a'`,
      payee_account_id: `'b'`,
      amount_cents: '10',
      currency: `'RUB'`,
      status: `'AUTHORIZED'`,
      description: `''`,
      created_at: 'now()',
      ...overrides,
    };
    return database.query(
      `insert into payments (${Object.keys(columns).join(', ')}) values (${Object.values(columns).join(', ')})`,
    );
  }

  test('anything but these', async () => {
    await insertPayment(hold);
    await insertPayment(capture);
    await insertPayment(release);
    await insertPayment({ ...release, kind: `'EXPIRY'` });
  });

  test.each([
    ['a hold without an end', { ...hold, expires_at: 'null' }],
    ['a hold that ends before it begins', { ...hold, expires_at: `now() - interval '1 second'` }],
    ['a hold with an entry of the payee', { ...hold, payee_version: '1' }],
    ['a hold of a payment', { ...hold, parent_id: 'gen_random_uuid()' }],
    ['a payment that ends', { payer_version: '1', payee_version: '1', expires_at: `now() + interval '1 day'` }],
    ['a capture of no payment', { ...capture, parent_id: 'null' }],
    ['a capture of nothing', { ...capture, amount_cents: '0' }],
    ['a capture that does not say what it released', { ...capture, released_cents: 'null' }],
    ['a capture that does not say whether it keeps', { ...capture, keep_remainder: 'null' }],
    ['a capture that was asked for nothing', { ...capture, requested_cents: '0' }],
    ['a void that releases nothing', { ...release, released_cents: '0' }],
    ['a void with an entry of the payee', { ...release, payee_version: '1' }],
    ['a void that keeps', { ...release, keep_remainder: 'true' }],
    [
      'an expiry that is declined',
      {
        ...{ ...release, kind: `'EXPIRY'`, status: `'DECLINED'`, released_cents: 'null', payer_version: 'null' },
        ...{ decline_code: `'X'`, decline_message: `'x'` },
      },
    ],
  ])('%s', async (_case, row) => {
    await expect(insertPayment(row as Record<string, string>)).rejects.toThrow('check constraint');
  });
});

test('what a replica of the version before writes of an account with holds is made whole', async () => {
  await insertEntries({ account: payer, version: 1, direction: 'HOLD', amount: 100, posted: 0, pending: 100 });
  await database.query(
    `update account_balances set available_cents = -100, pending_cents = 100, version = 1 where account_id = '${payer}'`,
  );
  const [pay, event] = [randomUUID(), randomUUID()];
  const client = await database.pool.connect();
  // As that version has it: it takes what is available for what is posted, and marks its transactions so.
  await client.query(`begin; set local payment_ledger.transaction = 'open'`);
  await client.query(
    `insert into ledger_entries (account_id, version, payment_id, direction, amount_cents, balance_after_cents, created_at)
     values ('${payer}', 2, '${pay}', 'DEBIT', 30, -130, '2020-01-01'), ('${payee}', 1, '${pay}', 'CREDIT', 30, 30, now())`,
  );
  await client.query(
    `insert into outbox (shard, id, aggregatetype, aggregateid, type, payload, created_at)
     values (0, '${event}', 'payment', '${payer}', 'payment.authorized.v1', $1, now())`,
    [
      {
        payerAccountId: payer,
        payeeAccountId: payee,
        payer: { balanceCents: '-130', version: '2' },
        payee: { balanceCents: '30', version: '1' },
      },
    ],
  );
  await client.query('commit');
  client.release();
  const entries = await database.query(
    `select balance_after_cents, pending_after_cents from ledger_entries where payment_id = '${pay}' order by direction`,
  );
  expect(entries).toEqual([
    { balance_after_cents: -30n, pending_after_cents: 100n },
    { balance_after_cents: 30n, pending_after_cents: null },
  ]);
  const [sent] = await database.query<{ payload: object }>(`select payload from outbox where id = '${event}'`);
  expect(sent!.payload).toMatchObject({
    payer: { balanceCents: '-30', version: '2', pendingCents: '100' },
    payee: { balanceCents: '30', version: '1' },
  });
});

test('a replica of the version before whose clock is ahead does not keep the account from its next entry', async () => {
  const client = await database.pool.connect();
  await client.query(`begin; set local payment_ledger.transaction = 'open'`);
  await client.query(
    `insert into ledger_entries (account_id, version, payment_id, direction, amount_cents, balance_after_cents, created_at)
     values ('${payer}', 1, '${payment}', 'DEBIT', 30, -30, clock_timestamp() + interval '1 minute'),
            ('${payee}', 1, '${payment}', 'CREDIT', 30, 30, clock_timestamp() - interval '1 minute')`,
  );
  await client.query('commit');
  client.release();
  const times = await database.query<{ direction: string; ahead: boolean; behind: boolean }>(
    `select direction, created_at > clock_timestamp() as ahead, created_at < clock_timestamp() - interval '59 seconds' as behind
     from ledger_entries where payment_id = '${payment}' order by direction`,
  );
  expect(times).toEqual([
    { direction: 'DEBIT', ahead: false, behind: false },
    { direction: 'CREDIT', ahead: false, behind: true },
  ]);
});

/** What the rule's violation says. */
function messageOf(reason: string): string {
  return reason === 'payments_go_forward' ? 'may not go back' : reason;
}
