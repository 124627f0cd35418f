import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ulidToUuid, uuidToUlid } from '../../src/app/ulid.ts';
import { postgresPaymentHistory } from '../../src/infra/postgres/outbox/replay.ts';
import { postgresListings } from '../../src/infra/postgres/payments/listings.ts';
import { nextActions } from '../../src/infra/postgres/payments/next-actions.ts';
import type { Connection } from '../../src/infra/postgres/statement.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.close());

let hold: string;
let payments = 0;
const ulid = (n: number) => `01KAV0000000000000000${String(payments).padStart(3, '0')}${String(n).padStart(2, '0')}`;

beforeEach(async () => {
  payments += 1;
  // By a replica whose clock is ahead of those that took the captures.
  hold = ulid(50);
  await database.query(
    `insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
       payer_version, created_at, kind, expires_at)
     values ($1, 'a', 'b', 100, 'RUB', 'AUTHORIZED', '', 1, $2, 'HOLD', now() + interval '1 hour')`,
    [ulidToUuid(hold), at(0)],
  );
});

const at = (ms: number) => new Date(1_764_000_000_000 + ms);

/** Captures of the hold; those without a version are declined. Their ids rise as the numbers do. */
async function capture(...captures: { id: number; ms: number; version?: number }[]): Promise<string[]> {
  for (const { id, ms, version } of captures) {
    await database.query(
      `insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
         decline_code, decline_message, payer_version, payee_version, created_at, kind, parent_id, released_cents, keep_remainder)
       select $1, 'a', 'b', 1, 'RUB', case when taken then 'AUTHORIZED' else 'DECLINED' end::payment_status, '',
         case when not taken then 'AMOUNT_EXCEEDS_HELD' end, case when not taken then 'x' end, $2, case when taken then 1 end,
         $3, 'CAPTURE', $4, case when taken then 0 end, true
       from (values ($2::bigint is not null)) as decided (taken)`,
      [ulidToUuid(ulid(id)), version ?? null, at(ms), ulidToUuid(hold)],
    );
  }
  return captures.map(({ id }) => ulid(id));
}

async function listed(size: number): Promise<string[]> {
  const listings = postgresListings(database.application);
  const all: string[] = [];
  let after: string | undefined;
  do {
    const page = await listings.actions(hold, after, size);
    expect(page.items.length).toBeLessThanOrEqual(size);
    all.push(...page.items.map(({ actionId }) => actionId));
    after = page.next;
  } while (after !== undefined);
  return all;
}

async function replayed(size: number): Promise<string[]> {
  const history = postgresPaymentHistory(database.pool);
  const all: string[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await history.page({ kind: 'PAYMENT', paymentId: hold }, after, size);
    all.push(...page.map(({ action }) => action.actionId));
    if (page.length < size) return all;
    after = page.at(-1)?.cursor;
  }
}

describe.each([
  ['listed', listed],
  ['replayed', replayed],
] as const)('the actions of a payment are %s in the order in which they took effect', (_what, read) => {
  test.each([1, 2, 3, 50])(
    'by pages of %d, whatever the clocks of the replicas say that made their ids',
    async (size) => {
      const later = await capture(
        { id: 70, ms: 1, version: 2 },
        { id: 10, ms: 2, version: 3 },
        { id: 90, ms: 3 },
        { id: 60, ms: 4, version: 4 },
      );
      expect(await read(size)).toEqual([hold, ...later]);
    },
  );

  test.each([1, 2, 3, 50])(
    'by pages of %d, by versions within a millisecond, and then what was declined',
    async (size) => {
      const later = await capture(
        { id: 30, ms: 0, version: 2 },
        { id: 20, ms: 0, version: 3 },
        { id: 80, ms: 0, version: 10 },
        { id: 10, ms: 0 },
        { id: 40, ms: 0 },
        { id: 15, ms: 1, version: 11 },
      );
      expect(await read(size)).toEqual([hold, ...later]);
    },
  );
});

test('a page of a payment that was declined any number of captures reads no more than the page', async () => {
  await database.query(
    `insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
       decline_code, decline_message, created_at, kind, parent_id, keep_remainder)
     select gen_random_uuid(), 'a', 'b', 1, 'RUB', 'DECLINED', '', 'PAYMENT_NOT_HELD', 'x',
       $2::timestamptz + n / 100 * interval '1 millisecond', 'CAPTURE', $1, true
     from generate_series(1, 10000) n`,
    [ulidToUuid(hold), at(0)],
  );
  await database.query('analyze payments');
  let sent: { text: string; values: unknown[] } | undefined;
  const noting = {
    query(query: { text: string; values: unknown[] }) {
      sent = query;
      return database.application.query(query);
    },
  } as unknown as Connection;
  const [middle] = await database.query<{ payment_id: string }>(
    'select payment_id from payments where parent_id = $1 order by created_at, payment_id offset 5000 limit 1',
    [ulidToUuid(hold)],
  );
  for (const after of [undefined, uuidToUlid(middle!.payment_id)]) {
    expect(await nextActions(noting, hold, after, 51)).toHaveLength(51);
    const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
      `explain (analyze, format json) ${sent!.text}`,
      sent!.values,
    );
    for (const node of nodes(row!['QUERY PLAN'][0].Plan)) {
      expect(node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)).toBeLessThanOrEqual(51);
    }
  }
});

interface Plan {
  readonly 'Actual Rows': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly Plan[];
}

const nodes = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)];
