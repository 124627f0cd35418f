import { afterAll, beforeAll, expect, test } from 'vitest';
import { uuidToUlid } from '../../src/app/ulid.ts';
import { findDueHolds } from '../../src/infra/postgres/payments/due-holds.ts';
import type { Connection } from '../../src/infra/postgres/statement.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

// What the sweeper asks for each second, among many holds that are open and few that are due.
const OPEN = 20_000;
const DUE = 3;

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.query(`
    set session_replication_role = replica;
    create table drawn as
      select gen_random_uuid() as id, now() + (n - ${DUE}) * interval '1 hour' as expires_at
      from generate_series(1, ${OPEN}) n;
    insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
        payer_version, created_at, kind, expires_at)
      select id, 'a', 'b', 1, 'RUB', 'AUTHORIZED', '', 1, expires_at - interval '1 day', 'HOLD', expires_at from drawn;
    insert into payment_balances (payment_id, payer_account_id, payee_account_id, amount_cents, held_cents,
        captured_cents, released_cents, refunded_cents, actions, expires_at, updated_at)
      select id, 'a', 'b', 1, 1, 0, 0, 0, 0, expires_at, expires_at - interval '1 day' from drawn;
    set session_replication_role = default`);
  await database.query('analyze');
}, 120_000);
afterAll(() => database.close());

interface Plan {
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly Plan[];
}

const nodes = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)];

test('those that are due are found, the oldest first, without reading those that are not', async () => {
  let sent: { text: string; values: unknown[] } | undefined;
  const noting = {
    query(query: { text: string; values: unknown[] }) {
      sent = query;
      return database.application.query(query);
    },
  } as unknown as Connection;

  const drawn = await database.query<{ id: string }>('select id from drawn order by expires_at');
  const ids = drawn.slice(0, DUE).map(({ id }) => uuidToUlid(id));
  expect((await findDueHolds(noting, 1, ids.slice(0, 1))).map(({ paymentId }) => paymentId)).toEqual([ids[1]]);
  expect((await findDueHolds(noting, 256, [])).map(({ paymentId }) => paymentId)).toEqual(ids);

  const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
    `explain (analyze, format json) ${sent!.text}`,
    sent!.values,
  );
  for (const node of nodes(row!['QUERY PLAN'][0].Plan)) {
    expect(node['Rows Removed by Filter'] ?? 0).toBeLessThanOrEqual(1);
  }
});
