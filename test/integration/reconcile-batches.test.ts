import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { reconcile } from '../../src/app/reconciliation/books.ts';
import { ulidToUuid } from '../../src/app/ulid.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { captureItem, holdItem, refundItem, transferItem, voidItem } from '../support/batches.ts';
import { newHold, newPair, newPayment } from '../support/refunds.ts';
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
async function corrupt(sql: string, ...values: string[]): Promise<void> {
  const connection = await system.database.pool.connect();
  try {
    await connection.query('begin; set local session_replication_role = replica');
    await connection.query(sql, values.map(ulidToUuid));
    await connection.query('commit');
  } finally {
    await connection.query('rollback');
    connection.release();
  }
}

// Of each rule a few culprits are named, so those of one test must not be there in the next.
afterEach(() => corrupt('delete from payments'));

/** A batch of three holds, whose ids are found: holds have entries of one account only. */
async function threeHolds() {
  const pair = await newPair(client);
  const { batchId, actions } = await client.batch(
    [1n, 2n, 3n].map((amountCents) => holdItem({ ...pair, amountCents })),
  );
  const [first, second, third] = actions.map(({ actionId }) => actionId) as [string, string, string];
  return { batchId, first, second, third };
}

async function declined() {
  const pair = await newPair(client);
  const items = [transferItem({ ...pair, amountCents: 1n }), transferItem({ ...pair, amountCents: 1_000n })];
  return (await client.batch(items)).batchId;
}

const BROKEN = 'not all of its batch is there, or more than that, or at another time, of payment or action';

describe('reconciling the books', () => {
  test('finds nothing wrong with batches of all kinds, taken and declined', async () => {
    const [toCapture, toVoid, paid] = [await newHold(client), await newHold(client), await newPayment(client)];
    const pair = await newPair(client);
    await client.batch([
      transferItem({ ...pair, amountCents: 1n }),
      holdItem({ ...pair, amountCents: 2n }),
      captureItem(toCapture.paymentId, { amountCents: 3n }),
      voidItem(toVoid.paymentId),
      refundItem(paid.paymentId, { amountCents: 4n }),
    ]);
    await client.batch([transferItem({ ...pair, amountCents: 1n }), captureItem(paid.paymentId)]);
    await declined();
    expect((await reconcile(postgresBooks(system.database.application))).problems).toEqual([]);
  });

  test('finds an item that is gone, the last one too', async () => {
    for (const gone of ['second', 'third'] as const) {
      const batch = await threeHolds();
      await corrupt('delete from payments where payment_id = $1', batch[gone]);
      expect(await problemsOf(batch.first)).toContain(`${BROKEN} ${batch.first}`);
    }
  });

  test('finds items whose first is gone', async () => {
    const { first, second, third } = await threeHolds();
    await corrupt('delete from payments where payment_id = $1', first);
    const problems = await problemsOf(second, third);
    expect(problems).toEqual([`${BROKEN} ${second}`, `${BROKEN} ${third}`]);
  });

  test.each([
    ['that left its batch', 'update payments set batch_id = null, batch_item = null where payment_id = $1'],
    ['of another time', `update payments set created_at = created_at + interval '1 second' where payment_id = $1`],
  ])('finds an item %s', async (_case, sql) => {
    const { first, second } = await threeHolds();
    await corrupt(sql, second);
    expect(await problemsOf(first)).toContain(`${BROKEN} ${first}`);
  });

  test('finds an item that became another, and one that is not among its batch', async () => {
    for (const set of ['batch_item = 7', 'batch_item = 2', 'payment_id = gen_random_uuid()']) {
      const { first, second } = await threeHolds();
      await corrupt(`update payments set ${set} where payment_id = $1`, second);
      const problems = await problemsOf('');
      expect(problems.filter((problem) => problem.startsWith(BROKEN)).length, set).toBeGreaterThan(0);
      expect(problems.some((problem) => problem === `${BROKEN} ${first}` || problem === `${BROKEN} ${second}`)).toBe(
        true,
      );
      await corrupt('delete from payments');
    }
  });

  test('finds a payment that came alone and has what only items have', async () => {
    for (const set of ['batch_item = 1', `batch_actions = '{}'`, String.raw`request_digest = '\x01'`]) {
      const { paymentId } = await newPayment(client);
      await corrupt(`update payments set ${set} where payment_id = $1`, paymentId);
      expect(await problemsOf(paymentId)).toContain(`${BROKEN} ${paymentId}`);
    }
  });

  test('finds an item of a batch that was declined', async () => {
    const [batchId, { second }] = [await declined(), await threeHolds()];
    await corrupt('update payments set batch_id = $2, batch_item = 2 where payment_id = $1', second, batchId);
    expect(await problemsOf(second)).toContain(`${BROKEN} ${second}`);
  });

  test('finds an event that names no batch, or another', async () => {
    for (const change of [`payload - 'batchId'`, `payload || '{"batchId": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}'`]) {
      const { second } = await threeHolds();
      await corrupt(`update outbox set payload = ${change} where id = $1`, second);
      expect(await problemsOf(second)).toEqual([
        `the payload of the pending event is not that of the payment, of payment ${second}`,
      ]);
    }
  });
});
