import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeHolds } from '../../src/infra/postgres/payments/write-holds.ts';
import type { Transaction } from '../../src/infra/postgres/statement.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.close());

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Plans?: readonly Plan[];
}

const nodes = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)];

test('planned while nothing is on hold, what writes a capture looks its payment up all the same', async () => {
  let text = '';
  const noting = {
    query(query: { text: string }) {
      text = query.text;
      return Promise.resolve({ rows: [] });
    },
  } as unknown as Transaction;
  await writeHolds(noting, { at: new Date(), decided: [], balances: [], payments: [] }, []);

  const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
    // As the connections of payments plan it: once, for whatever comes.
    `explain (generic_plan, format json) ${text}`,
  );
  const plan = nodes(row!['QUERY PLAN'][0].Plan);
  const scans = plan.filter((node) => node['Relation Name'] === 'payment_balances').map((node) => node['Node Type']);
  expect(scans).toContain('ModifyTable');
  expect(scans).not.toContain('Seq Scan');
});
