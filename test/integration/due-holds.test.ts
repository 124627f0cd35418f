import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DueCursor } from '../../src/app/ports.ts';
import { uuidToUlid } from '../../src/app/ulid.ts';
import { findDueHolds } from '../../src/infra/postgres/payments/due-holds.ts';
import type { Connection } from '../../src/infra/postgres/statement.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

// What the sweeper asks for each second, among many holds that are open and few that are due.
const OPEN = 20_000;
const DUE = 3;
/** Of holds made by one transaction, whose time is over at one moment: to the microsecond, as no hold of the service has it. */
const TOGETHER = 2_000;

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
  const first = await findDueHolds(noting, 1);
  const second = await findDueHolds(noting, 1, first.last);
  expect([first, second].map(({ holds, more }) => [holds.map(({ paymentId }) => paymentId), more])).toEqual([
    [[ids[0]], true],
    [[ids[1]], true],
  ]);
  expect((await findDueHolds(noting, 256, undefined, second.last)).holds).toHaveLength(2);
  expect((await findDueHolds(noting, 256)).holds.map(({ paymentId }) => paymentId)).toEqual(ids);

  const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
    `explain (analyze, format json) ${sent!.text}`,
    sent!.values,
  );
  for (const node of nodes(row!['QUERY PLAN'][0].Plan)) {
    expect(node['Rows Removed by Filter'] ?? 0).toBeLessThanOrEqual(1);
  }
});

test('holds that are over at one moment are gone through once each, and a lost payment does not end that', async () => {
  await database.query(`
    set session_replication_role = replica;
    create table together as select gen_random_uuid() as id, now() - interval '1 day 0.123456 seconds' as expires_at
      from generate_series(1, ${TOGETHER});
    insert into payment_balances (payment_id, payer_account_id, payee_account_id, amount_cents, held_cents,
        captured_cents, released_cents, refunded_cents, actions, expires_at, updated_at)
      select id, 'a', 'b', 1, 1, 0, 0, 0, 0, expires_at, expires_at - interval '1 day' from together;
    insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
        payer_version, created_at, kind, expires_at)
      select id, 'a', 'b', 1, 'RUB', 'AUTHORIZED', '', 1, expires_at - interval '1 day', 'HOLD', expires_at from together
      order by id offset 300;
    set session_replication_role = default`);
  const found: string[] = [];
  let after: DueCursor | undefined;
  for (let more = true, page = 0; more; page++) {
    expect(page).toBeLessThan(20);
    const due = await findDueHolds(database.application, 256, after);
    found.push(...due.holds.map(({ paymentId }) => paymentId));
    ({ more, last: after = after } = due);
  }
  expect(new Set(found).size).toBe(found.length);
  expect(found).toHaveLength(TOGETHER - 300 + DUE);
});
