import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RangeKey } from '../../src/app/reconciliation/books.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

// One payee, and one payer, for whom very many holds are open, among others with few.
const HOLDS = 20_000;
const RANGE = 500;

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.query(`
    set session_replication_role = replica;
    create table drawn as
      select gen_random_uuid() as id,
        case when n > ${HOLDS} then 'chain' else 'guest-' || n % 300 end as payer,
        case when n > ${HOLDS} then 'shop-' || n % 300 else 'hotel' end as payee, 1 + n % 7 as cents
      from generate_series(1, ${2 * HOLDS}) n;
    insert into payment_balances (payment_id, payer_account_id, payee_account_id, amount_cents, held_cents,
        captured_cents, released_cents, refunded_cents, actions, expires_at, updated_at)
      select id, payer, payee, cents, cents, 0, 0, 0, 0, now() + interval '1 day', now() from drawn;
    insert into account_balances (account_id, currency, available_cents, pending_cents, incoming_cents)
      select account_id, 'RUB', -pending, pending, incoming from (
        select account_id, sum(pending) as pending, sum(incoming) as incoming from (
          select payer as account_id, cents as pending, 0 as incoming from drawn
          union all select payee, 0, cents from drawn) side group by account_id) balance;
    set session_replication_role = default`);
  await database.query('analyze');
}, 120_000);
afterAll(() => database.close());

interface Plan {
  readonly 'Actual Rows'?: number;
  readonly 'Actual Loops'?: number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly Plan[];
}

const nodes = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)];
const rowsOf = (node: Plan) =>
  ((node['Actual Rows'] ?? 0) + (node['Rows Removed by Filter'] ?? 0)) * (node['Actual Loops'] ?? 0);

/** What the examination of all balances says of holds: the rule and the account. noting hears of its statements. */
async function examine(noting: (text: string, values: unknown[]) => void = () => undefined): Promise<string[]> {
  const pool = {
    async connect() {
      const client = await database.pool.connect();
      const query = client.query.bind(client) as (text: string, values?: unknown[]) => Promise<unknown>;
      return Object.assign(Object.create(client) as pg.PoolClient, {
        query: (text: string, values: unknown[] = []) => {
          noting(text, values);
          return query(text, values);
        },
        release: (error?: Error) => client.release(error),
      });
    },
  } as unknown as pg.Pool;
  const books = postgresBooks(pool, RANGE);
  const found: string[] = [];
  let after: RangeKey | undefined;
  for (let rows = RANGE; rows === RANGE; ) {
    const range = await books.examine('BALANCES', after, RANGE);
    for (const { rule, culprit } of range.findings) {
      if (rule.endsWith('_IS_OPEN_HOLDS')) found.push(`${rule.split('_')[0]} ${culprit}`);
    }
    ({ rows, last: after } = range);
  }
  return found;
}

test('no statement reads more of them than a range has, and the sums are right', async () => {
  const sent = new Map<string, unknown[][]>();
  expect(await examine((text, values) => sent.set(text, [...(sent.get(text) ?? []), values]))).toEqual([]);
  const sums = [...sent].filter(([text]) => text.includes('sum(held_cents)'));
  expect(sums.map(([, executions]) => executions.length >= HOLDS / RANGE)).toEqual([true, true]);

  const balances = [...sent].find(([text]) => text.includes('from account_balances where (account_id)'))!;
  const client = await database.pool.connect();
  try {
    await client.query(
      'begin; set local enable_hashjoin = off; set local enable_mergejoin = off; set local enable_seqscan = off',
    );
    for (const [text, executions] of [...sums, balances]) {
      for (const values of [executions[0]!, executions.at(-1)!]) {
        const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
          `explain (analyze, format json) ${text}`,
          values,
        );
        expect(Math.max(...nodes(rows[0]!['QUERY PLAN'][0].Plan).map(rowsOf)), text).toBeLessThanOrEqual(RANGE);
      }
    }
  } finally {
    await client.query('rollback');
    client.release();
  }
});

test('damage among many is found', async () => {
  await database.query(`
    begin; set local session_replication_role = replica;
    update payment_balances set held_cents = held_cents + 1000, amount_cents = amount_cents + 1000
      where payment_id = (select id from drawn where payee = 'hotel' order by id offset ${HOLDS / 2} limit 1);
    update payment_balances set held_cents = held_cents + 1000, amount_cents = amount_cents + 1000
      where payment_id = (select id from drawn where payer = 'chain' order by id desc limit 1);
    delete from payment_balances where payment_id = (select id from drawn where payee = 'shop-77' order by id limit 1);
    update account_balances set incoming_cents = incoming_cents - 1 where account_id = 'shop-99';
    update account_balances set pending_cents = 5 where account_id = 'hotel';
    commit`);
  const found = await examine();
  // Those whose payers and payees the damaged holds were are not what their balances say either.
  for (const expected of ['INCOMING hotel', 'INCOMING shop-77', 'INCOMING shop-99', 'PENDING chain', 'PENDING hotel']) {
    expect(found).toContain(expected);
  }
  expect(found.length).toBeLessThanOrEqual(7);
});
