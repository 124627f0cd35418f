import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reconcile } from '../../src/app/reconciliation/books.ts';
import { ulidToUuid } from '../../src/app/ulid.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { newHold, newPayment } from '../support/refunds.ts';
import { createSystem, type System } from '../support/system.ts';

let system: System;
let client: LedgerClient;
beforeAll(async () => {
  system = await createSystem();
  ({ client } = await system.startApi());
});
afterAll(() => system.close());

/** What is wrong with the books that names any of these. */
async function problemsOf(...culprits: string[]): Promise<string[]> {
  const { problems } = await reconcile(postgresBooks(system.database.application));
  return problems.filter((problem) => culprits.some((culprit) => problem.includes(culprit))).sort();
}

/** What Postgres would reject, as a fault of its own or of an administrator could do it. */
async function corrupt(sql: string, id: string): Promise<void> {
  const connection = await system.database.pool.connect();
  await connection.query('begin; set local session_replication_role = replica');
  await connection.query(sql, [ulidToUuid(id)]);
  await connection.query('commit');
  connection.release();
}

/** A payment of 100 of which 30 are refunded: the ids of both. */
async function refunded() {
  const payment = await newPayment(client, 100n);
  const { action } = await client.refund(payment.paymentId, { amountCents: 30n });
  return { payment: payment.paymentId, refund: action!.actionId };
}

describe('reconciling the books', () => {
  test('finds nothing wrong with refunds, taken and declined, of payments and of captures', async () => {
    const { paymentId } = await newPayment(client, 100n);
    for (const amountCents of [30n, 71n, undefined, undefined]) await client.refund(paymentId, { amountCents });
    const hold = await newHold(client, 100n);
    await client.capture(hold.paymentId, { amountCents: 60n, keepRemainder: true });
    await client.refund(hold.paymentId, { amountCents: 20n });
    await client.refund((await newPayment(client, 100n)).paymentId, { amountCents: 101n });
    expect((await reconcile(postgresBooks(system.database.application))).problems).toEqual([]);
  });

  test.each([
    [
      'entries the wrong way round',
      `update ledger_entries set direction = case direction when 'DEBIT' then 'CREDIT' else 'DEBIT' end::entry_direction
       where payment_id = $1`,
      'the ledger entries are not those of its kind and amount, of payment',
    ],
    [
      'entries of another amount',
      'update ledger_entries set amount_cents = 31 where payment_id = $1',
      'the ledger entries are not those of its kind and amount, of payment',
    ],
    [
      'another payer than its payment',
      `update payments set payer_account_id = 'x' where payment_id = $1`,
      'the action is of no payment between the same accounts:',
    ],
    [
      'a refund for its payment',
      'update payments set parent_id = $1 where payment_id = $1',
      'the action is of no payment between the same accounts:',
    ],
    [
      'an event under the key of the payee',
      'update outbox set aggregateid = (select payee_account_id from payments where payment_id = $1) where id = $1',
      'the key of the pending event is not the payer, of payment',
    ],
    [
      'an event of another type',
      `update outbox set type = 'payment.captured.v1' where id = $1`,
      'the type of the pending event does not fit the kind and status, of payment',
    ],
    [
      'an event of another amount',
      `update outbox set payload = payload || '{"amountCents": "31"}' where id = $1`,
      'the amount or currency of the pending event is another, of payment',
    ],
    [
      'an event of another payment',
      `update outbox set payload = payload || jsonb_build_object('paymentId', payload ->> 'actionId') where id = $1`,
      'the payload of the pending event is not that of the payment, of payment',
    ],
  ])('finds a refund with %s', async (_case, sql, problem) => {
    const { refund } = await refunded();
    await corrupt(sql, refund);
    expect(await problemsOf(refund)).toContain(`${problem} ${refund}`);
  });

  test.each([
    ['more refunded than its refunds', 'refunded_cents = 31'],
    ['less refunded than its refunds', 'refunded_cents = 29'],
    ['more actions than its refunds', 'actions = 2'],
    ['less captured than its amount', 'captured_cents = 90, released_cents = 10, expires_at = updated_at'],
  ])('finds a payment with %s', async (_case, set) => {
    const { payment } = await refunded();
    await corrupt(`update payment_balances set ${set} where payment_id = $1`, payment);
    expect(await problemsOf(payment)).toEqual([
      `what is held, captured, released or refunded is not the sum of the actions, of payment ${payment}`,
    ]);
  });

  test('finds a refund that nothing was noted of', async () => {
    const { payment, refund } = await refunded();
    await corrupt('delete from payment_balances where payment_id = $1', payment);
    expect(await problemsOf(payment, refund)).toEqual([
      `nothing says how much of its payment is refunded after refund ${refund}`,
    ]);
  });
});
