import { monotonicFactory } from 'ulid';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PaymentCommand } from '../../src/app/commands.ts';
import { decidePayments } from '../../src/app/decide-payments.ts';
import type { Payment } from '../../src/app/domain/payment.ts';
import { reconcile } from '../../src/app/reconciliation/books.ts';
import { replay } from '../../src/app/replay.ts';
import { ulidToUuid } from '../../src/app/ulid.ts';
import { postgresPaymentHistory } from '../../src/infra/postgres/outbox/replay.ts';
import { shardCount } from '../../src/infra/postgres/outbox/shard-count.ts';
import { PostgresUnitOfWork } from '../../src/infra/postgres/payments/unit-of-work.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

// Books with holds, damaged as a fault of Postgres or of an administrator could do it.
let database: TestDatabase;
let hold: Payment;

beforeEach(async () => {
  database = await createDatabase();
  await database.query(`insert into accounts values
    ('world', 'RUB', 'EXTERNAL', null, now()), ('shop', 'RUB', 'CUSTOMER', 0, now())`);
  await database.query(`insert into account_balances (account_id, currency) select account_id, currency from accounts`);
  const unitOfWork = new PostgresUnitOfWork(database.application, shardCount(database.application));
  const newId = monotonicFactory();
  const decide = async (...commands: PaymentCommand[]) =>
    decidePayments(unitOfWork, commands, new Date(), { lockWaitMs: 5_000, deadlineMs: Number.POSITIVE_INFINITY });
  const call = () => ({
    ...{ description: 'a "note"', reference: 'order 1', metadata: { a: 'b' } },
    ...{ actionId: newId(), caller: '', idempotencyKey: crypto.randomUUID(), mayPayFromExternal: true },
  });
  const parties = { payerAccountId: 'world', payeeAccountId: 'shop', currency: 'RUB', amountCents: 10n };
  const held = () => ({ kind: 'HOLD', ...call(), ...parties, ttlMs: 600_000 }) as const;
  const outcomes = await decide(held(), held(), { ...held(), ttlMs: 1 }, { kind: 'PAYMENT', ...call(), ...parties });
  const [one, two, over] = outcomes.map(({ action }) => action as Payment) as [Payment, Payment, Payment];
  const asked = (payment: Payment) => ({ ...call(), payment, expiryId: newId() });
  const capture = { kind: 'CAPTURE', keepRemainder: true } as const;
  await decide({ ...capture, ...asked(one), requestedCents: 4n }, { kind: 'VOID', ...asked(two) });
  await decide(
    { ...capture, ...asked(one), requestedCents: 40n },
    { ...capture, ...asked(over), requestedCents: undefined },
  );
  hold = one;
});
afterEach(() => database.close());

async function problems(): Promise<readonly string[]> {
  return (await reconcile(postgresBooks(database.pool))).problems;
}

test('nothing is wrong with books that have holds, captures, voids, expiries and declines', async () => {
  expect(await problems()).toEqual([]);
});

test('each of their events can be made again from the books, to the letter', async () => {
  const made: { id: string; type: string; subject: string; payload: object }[] = [];
  const none = { page: async () => [] };
  await replay(
    { accounts: none, payments: postgresPaymentHistory(database.pool) },
    {
      pending: async () => 0,
      append: async (events) => {
        for (const { eventId, type, subject, payload } of events) {
          made.push({ id: ulidToUuid(eventId), type, subject, payload: JSON.parse(JSON.stringify(payload)) });
        }
      },
    },
    { kind: 'TIME', from: new Date(0), to: new Date('2100-01-01') },
    () => undefined,
  );
  const sent = await database.query(
    `select id, type, payload ->> 'paymentId' as subject, payload from outbox order by id`,
  );
  expect(made).toEqual(sent);
  expect(new Set(made.map(({ type }) => type)).size).toBe(6);
});

test.each([
  [
    'what is pending',
    `update account_balances set pending_cents = 7, available_cents = available_cents - 1 where account_id = 'world'`,
    /pending is not what open holds of the payer keep, of account world/,
  ],
  [
    'what is incoming',
    `update account_balances set incoming_cents = 7 where account_id = 'shop'`,
    /incoming is not what open holds for the payee keep, of account shop/,
  ],
  [
    'what is held',
    `update payment_balances set held_cents = 5, captured_cents = 5 where payment_id = $1`,
    /not the sum of the actions, of payment/,
  ],
  [
    'what is refunded',
    `update payment_balances set refunded_cents = 1 where payment_id = $1`,
    /not the sum of the actions, of payment/,
  ],
  [
    'a lost balance',
    `delete from payment_balances where payment_id = $1`,
    /nothing says what became of the hold of payment/,
  ],
  [
    'a lost capture',
    `delete from payments where parent_id = $1 and status = 'AUTHORIZED'`,
    /not the sum of the actions, of payment/,
  ],
  [
    'a capture of another amount',
    `update payments set amount_cents = 5 where parent_id = $1 and status = 'AUTHORIZED'`,
    /not those of its kind and amount/,
  ],
  [
    'what a capture released',
    `update payments set released_cents = 1 where parent_id = $1 and status = 'AUTHORIZED'`,
    /not those of its kind and amount/,
  ],
  [
    'an action of no payment',
    `update payments set parent_id = gen_random_uuid() where parent_id = $1`,
    /the action is of no payment/,
  ],
  [
    'a running pending balance',
    `update ledger_entries set pending_after_cents = 99 where payment_id = $1`,
    /does not follow from the one before/,
  ],
  [
    'the type of an event',
    `update outbox set type = 'payment.authorized.v1' where id = $1`,
    /type of the pending event/,
  ],
  [
    'what an event says is pending',
    `update outbox set payload = payload #- '{payer,pendingCents}' where id = $1`,
    /payload of the pending event/,
  ],
])('finds damage to %s', async (_case, sql, found) => {
  const client = await database.pool.connect();
  await client.query('begin; set local session_replication_role = replica');
  await client.query(sql, sql.includes('$1') ? [ulidToUuid(hold.paymentId)] : []);
  await client.query('commit');
  client.release();
  const after = await problems();
  expect(
    after.some((problem) => found.test(problem)),
    after.join('\n'),
  ).toBe(true);
});
