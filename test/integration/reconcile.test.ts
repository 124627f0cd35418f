import { ulid, ulidToUUID } from 'ulid';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { reconcile } from '../../src/app/reconciliation/books.ts';
import { reconcileLately } from '../../src/app/reconciliation/housekeeping.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import { postgresReconciliationHistory } from '../../src/infra/postgres/reconciliation/housekeeping.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const HOUR_MS = 3_600_000;

describe('reconciling the books', () => {
  let database: TestDatabase;
  const now = new Date();

  beforeEach(async () => {
    database = await createDatabase();
    await database.query(`
      insert into accounts values
        ('bank', 'RUB', 'EXTERNAL', null, now()), ('alice', 'RUB', 'CUSTOMER', 0, now()), ('bob', 'RUB', 'CUSTOMER', 0, now());
      insert into account_balances (account_id, currency, overdraft_limit_cents)
        select account_id, currency, overdraft_limit_cents from accounts`);
    // Long ago, yesterday, just now.
    for (const ageMs of [1_000 * HOUR_MS, 24 * HOUR_MS, 0]) await pay('bank', 'alice', 100n, ageMs);
    await pay('alice', 'bob', 50n, 0);
  });
  afterEach(() => database.close());

  async function pay(payer: string, payee: string, cents: bigint, ageMs: number): Promise<string> {
    const paymentId = ulid(now.getTime() - ageMs);
    await database.query(
      `with moved as (
         update account_balances set version = version + 1,
           available_cents = available_cents + case account_id when $2 then -$4::bigint else $4::bigint end
         where account_id in ($2, $3) returning *
       ), entered as (
         insert into ledger_entries
         select account_id, version, $1, case account_id when $2 then 'DEBIT' else 'CREDIT' end::entry_direction, $4,
                available_cents, now()
         from moved
       )
       insert into payments
       select $1, $2, $3, $4, 'RUB', 'AUTHORIZED', '', null, null,
         (select version from moved where account_id = $2), (select version from moved where account_id = $3), now()`,
      [ulidToUUID(paymentId), payer, payee, cents],
    );
    return paymentId;
  }

  /** What Postgres would refuse, as a fault of its own or of an administrator could do it. */
  async function corrupt(sql: string): Promise<void> {
    const client = await database.pool.connect();
    await client.query('begin');
    await client.query('set local session_replication_role = replica');
    await client.query(sql);
    await client.query('commit');
    client.release();
  }

  it('finds nothing in books that balance', async () => {
    expect(await reconcile(postgresBooks(database.application))).toEqual({
      currencies: [{ currency: 'RUB', sumCents: 0n }],
      problems: [],
      paymentsExamined: 4,
    });
  });

  it.each([
    [
      "update account_balances set available_cents = available_cents + 1 where account_id = 'bob'",
      /RUB together are 1/,
    ],
    ["update account_balances set available_cents = 51 where account_id = 'bob'", /last ledger entry left.* bob/],
    ["update account_balances set version = 0 where account_id = 'bob'", /last ledger entry left.* bob/],
    ["delete from ledger_entries where account_id = 'bob'", /not one debit and one credit/],
    ["update ledger_entries set amount_cents = 51 where account_id = 'bob'", /not one debit and one credit/],
    [
      "update ledger_entries set balance_after_cents = 7 where account_id = 'alice' and version = 1",
      /does not follow.* alice/,
    ],
    ["delete from payments where payer_account_id = 'alice'", /no authorized payment.* alice version 4/],
    ["insert into idempotency_keys values ('', 'lost', gen_random_uuid(), now())", /leads to no payment: lost/],
    [
      `insert into outbox (shard, id, aggregatetype, aggregateid, type, payload, created_at)
       values (0, gen_random_uuid(), 'payment', 'alice', 'payment.authorized.v1', '{}', now())`,
      /event waits that belongs to no payment/,
    ],
  ])('finds %s', async (damage, problem) => {
    await corrupt(damage);
    const { problems } = await reconcile(postgresBooks(database.application));
    expect(problems).toContainEqual(expect.stringMatching(problem));
  });

  it('examines the whole books once a day and what is new in between, until a problem shows', async () => {
    const books = postgresBooks(database.application);
    const history = postgresReconciliationHistory(database.application);
    const at = (hours: number) => new Date(now.getTime() + hours * HOUR_MS);
    expect((await reconcileLately(books, history, at(0))).paymentsExamined).toBe(4);
    expect((await reconcileLately(books, history, at(0.5))).paymentsExamined).toBe(2);
    expect((await reconcileLately(books, history, at(25))).paymentsExamined).toBe(4);
    await corrupt("update account_balances set available_cents = 51 where account_id = 'bob'");
    expect((await reconcileLately(books, history, at(26))).problems).toHaveLength(2);
    expect((await reconcileLately(books, history, at(26.1))).paymentsExamined).toBe(4);
    expect(await history.last()).toMatchObject({ startedAt: at(26.1), problems: 2 });
  });
});
