import { afterAll, beforeAll, expect, test } from 'vitest';
import { ulidToUuid } from '../../src/app/ulid.ts';
import { postgresListings } from '../../src/infra/postgres/payments/listings.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.close());

const ulid = (payment: number, n: number) => `01KAV000000000000000000${String(payment).padStart(2, '0')}${n}`;

test.each([1, 2, 3, 50])(
  'all actions of a payment are listed, by pages of %d, also those of replicas whose clock is behind',
  async (size) => {
    // The hold's id is of a replica whose clock is ahead of that which took the first two captures.
    const [first, second, hold, last] = [1, 2, 3, 4].map((n) => ulid(size, n)) as [string, string, string, string];
    await database.query(
      `insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
         payer_version, created_at, kind, expires_at)
       values ($1, 'a', 'b', 100, 'RUB', 'AUTHORIZED', '', 1, now(), 'HOLD', now() + interval '1 hour')`,
      [ulidToUuid(hold)],
    );
    await database.query(
      `insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
         payer_version, payee_version, created_at, kind, parent_id, released_cents, keep_remainder)
       select id, 'a', 'b', 1, 'RUB', 'AUTHORIZED', '', 2, 1, now(), 'CAPTURE', $1, 0, true from unnest($2::uuid[]) id`,
      [ulidToUuid(hold), [last, second, first].map(ulidToUuid)],
    );

    const listings = postgresListings(database.application);
    const listed: string[] = [];
    let after: string | undefined;
    do {
      const page = await listings.actions(hold, after, size);
      listed.push(...page.items.map(({ actionId }) => actionId));
      after = page.next;
    } while (after !== undefined);
    expect(listed).toEqual([hold, first, second, last]);
  },
);
