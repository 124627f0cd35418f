import { ulid, ulidToUUID } from 'ulid';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { actionTaken } from '../../src/app/domain/event.ts';
import type { Action } from '../../src/app/domain/payment.ts';
import { type Books, type BooksProgress, reconcile } from '../../src/app/reconciliation/books.ts';
import { reconcileRecent, reconcileWhole } from '../../src/app/reconciliation/reconcile-lately.ts';
import { postgresAccountLedger } from '../../src/infra/postgres/payments/change-account.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import { postgresReconciliationHistory } from '../../src/infra/postgres/reconciliation/history.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const HOUR_MS = 3_600_000;

describe('reconciling the books', () => {
  let database: TestDatabase;
  let books: Books;
  const now = new Date();

  beforeEach(async () => {
    database = await createDatabase();
    books = postgresBooks(database.application);
    await database.query(`
      insert into accounts values
        ('bank', 'RUB', 'EXTERNAL', null, now()), ('alice', 'RUB', 'CUSTOMER', 0, now()), ('bob', 'RUB', 'CUSTOMER', 0, now());
      insert into account_balances (account_id, currency, overdraft_limit_cents)
        select account_id, currency, overdraft_limit_cents from accounts`);
    // Long ago, yesterday, just now.
    for (const ageMs of [1_000 * HOUR_MS, 24 * HOUR_MS, 0]) await pay('bank', 'alice', 100n, ageMs);
    await pay('alice', 'bob', 50n, 0);
    const changes = postgresAccountLedger(database.application, async () => 16);
    await changes.change('bob', ({ account, at }) => {
      const after = { ...account, revision: 2n, metadata: { a: 'b' }, changedAt: at };
      const change = { changeId: ulid(), kind: 'UPDATED', account: after, reason: 'r', caller: 'c' } as const;
      return { write: { change, traceparent: undefined } };
    });
  });
  afterEach(() => database.close());

  async function pay(payer: string, payee: string, cents: bigint, ageMs: number): Promise<void> {
    const paymentId = ulid(now.getTime() - ageMs);
    const uuid = ulidToUUID(paymentId);
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
       ), claimed as (
         insert into idempotency_keys values ('', $1::text, $1, now())
       )
       insert into payments
       select $1, $2, $3, $4, 'RUB', 'AUTHORIZED', '', null, null,
         (select version from moved where account_id = $2), (select version from moved where account_id = $3), now()`,
      [uuid, payer, payee, cents],
    );
    const entries = await database.query<{ accountId: string; version: bigint; balanceAfterCents: bigint }>(
      `select account_id as "accountId", version, balance_after_cents as "balanceAfterCents", 0::bigint as "pendingAfterCents"
       from ledger_entries
       where payment_id = $1`,
      [uuid],
    );
    const [debit, credit] = [payer, payee].map((id) => entries.find(({ accountId }) => accountId === id)!);
    const event = actionTaken(
      {
        actionId: paymentId,
        paymentId,
        kind: 'PAYMENT',
        payerAccountId: payer,
        payeeAccountId: payee,
        amountCents: cents,
        releasedCents: 0n,
        currency: 'RUB',
        description: '',
        createdAt: now,
      } as Action,
      { payer: debit, payee: credit } as Parameters<typeof actionTaken>[1],
    );
    await database.query(
      `insert into outbox (shard, id, aggregatetype, aggregateid, type, payload, created_at)
       values (0, $1, 'payment', $2, $3, $4, now())`,
      [uuid, event.payerAccountId, event.type, event.payload],
    );
  }

  /** Many payments of one cent among the accounts. */
  async function payOften(count: number): Promise<void> {
    for (let n = 0; n < count; n++) await pay('bank', n % 2 === 0 ? 'alice' : 'bob', 1n, n * HOUR_MS);
  }

  /** What Postgres would reject, as a fault of its own or of an administrator could do it. */
  async function corrupt(sql: string): Promise<void> {
    const client = await database.pool.connect();
    await client.query('begin');
    await client.query('set local session_replication_role = replica');
    await client.query(sql);
    await client.query('commit');
    client.release();
  }

  const signal = new AbortController().signal;
  /** One range each time. */
  const one = { rangeSize: 3, stopAfterMs: 0 };

  test('finds nothing in books that balance', async () => {
    expect(await reconcile(books)).toMatchObject({ problems: [], paymentsExamined: 4 });
    expect(await books.sumCurrencies(2)).toEqual([{ currency: 'RUB', sumCents: 0n }]);
  });

  test('finds nothing wrong with events that are blocked or dead letters', async () => {
    await database.query(`
      insert into outbox_blocked select * from outbox where aggregateid = 'bank';
      insert into outbox_dead_letters (shard, position, id, aggregatetype, aggregateid, type, payload, headers, created_at, reason)
        select *, 'rejected' from outbox where aggregateid = 'alice';
      delete from outbox`);
    expect((await reconcile(books)).problems).toEqual([]);
  });

  const payload = (change: string) => `update outbox set payload = payload || '${change}' where aggregateid = 'alice'`;
  const elsewhere = (table: string, columns: string, change: string) => `
    insert into ${table} (shard, position, id, aggregatetype, aggregateid, type, payload, headers, created_at ${columns && ', reason'})
    select shard, position, id, aggregatetype, aggregateid, type, payload || '${change}', headers, created_at ${columns}
    from outbox where aggregateid = 'alice'`;

  /** Changes that are not applied to the balance. */
  const changed = (accountId: string, changes: string) => `
    insert into account_changes (change_id, account_id, revision, kind, overdraft_limit_cents, debits_frozen,
      credits_frozen, reason, caller, created_at)
    select gen_random_uuid(), '${accountId}', revision, kind::account_change_kind, "limit", frozen, false, '', '', now()
    from (values ${changes}) as change (revision, kind, "limit", frozen)`;

  test.each([
    [
      'a balance changed',
      "update account_balances set available_cents = available_cents + 1 where account_id = 'bob'",
      /RUB together are 1/,
    ],
    [
      'a balance other than the last entry',
      "update account_balances set available_cents = 51 where account_id = 'bob'",
      /last ledger entry left.* bob/,
    ],
    [
      'a balance of no entry',
      "update account_balances set version = 0 where account_id = 'bob'",
      /last ledger entry left.* bob/,
    ],
    [
      'a balance below its limit',
      "alter table account_balances drop constraint no_overdraft_beyond_limit; update account_balances set available_cents = -1 where account_id = 'bob'",
      /overdraft limit.* bob/,
    ],
    [
      'an account without a balance',
      "delete from account_balances where account_id = 'bob'",
      /there is no balance of account bob/,
    ],
    [
      'a balance without an account',
      "delete from accounts where account_id = 'bob'",
      /a balance belongs to no account: bob/,
    ],
    [
      'a balance of another currency',
      "update account_balances set currency = 'EUR' where account_id = 'bob'",
      /another currency, overdraft limit or state.* bob/,
    ],
    [
      'a balance that is frozen although its account is not',
      "update account_balances set flags = 1 where account_id = 'bob'",
      /another currency, overdraft limit or state.* bob/,
    ],
    [
      'a balance with another limit than the last change',
      changed('bob', "(3, 'UPDATED', 7, false)"),
      /another currency, overdraft limit or state.* bob/,
    ],
    [
      'a balance that is not frozen although its account is',
      changed('bob', "(3, 'FROZEN', 0, true)"),
      /another currency, overdraft limit or state.* bob/,
    ],
    [
      'money on a closed account',
      `update account_balances set flags = 4 where account_id = 'bob'; ${changed('bob', "(3, 'CLOSED', 0, false)")}`,
      /money on closed account bob/,
    ],
    [
      'a change that follows the closing',
      changed('bob', "(3, 'CLOSED', 0, false), (4, 'UPDATED', 0, false)"),
      /have a gap, or one follows the closing: bob/,
    ],
    ['a lost change', changed('alice', "(3, 'UPDATED', 0, false)"), /have a gap, or one follows the closing: alice/],
    [
      'a lost change between two',
      changed('bob', "(4, 'UPDATED', 0, false)"),
      /have a gap, or one follows the closing: bob/,
    ],
    ...[
      "aggregateid = 'alice'",
      "aggregatetype = 'payment'",
      "type = 'account.frozen.v1'",
      `payload = payload || '{"revision": "3"}'`,
      `payload = payload || '{"creditsFrozen": true}'`,
      `payload = payload - 'metadata'`,
      `payload = payload || '{"metadata": {"a": "c"}}'`,
    ].map((damage): [string, string, RegExp] => [
      `an account's event with ${damage}`,
      `update outbox set ${damage} where aggregatetype = 'account' and aggregateid = 'bob'`,
      /is not that of the account change: /,
    ]),
    [
      'entries of no account',
      "delete from accounts where account_id = 'bob'",
      /entry belongs to no account: bob version 1/,
    ],
    ['an entry lost', "delete from ledger_entries where account_id = 'bob'", /not those of its kind/],
    [
      'an entry of another amount',
      "update ledger_entries set amount_cents = 51 where account_id = 'bob'",
      /not those of its kind/,
    ],
    [
      'a chain broken',
      "update ledger_entries set balance_after_cents = 7 where account_id = 'alice' and version = 1",
      /does not follow.* alice/,
    ],
    [
      'a payment lost',
      "delete from payments where payer_account_id = 'alice'",
      /no authorized payment.* alice version 4/,
    ],
    [
      'a payment in another currency',
      "update payments set currency = 'EUR' where payer_account_id = 'alice'",
      /currency is not that of payer and payee/,
    ],
    [
      'a key of no payment',
      "insert into idempotency_keys values ('', 'lost', gen_random_uuid(), now())",
      /leads to no payment: lost/,
    ],
    [
      'an event of no payment',
      "update outbox set id = gen_random_uuid() where aggregateid = 'alice'",
      /pending event belongs to no payment/,
    ],
    [
      'an event of another key',
      "update outbox set aggregateid = 'bob' where aggregateid = 'alice'",
      /key of the pending event is not the payer/,
    ],
    [
      'an event of another type',
      "update outbox set type = 'payment.declined.v1' where aggregateid = 'alice'",
      /type of the pending event/,
    ],
    ['an event of another amount', payload('{"amountCents": "51"}'), /amount or currency of the pending event/],
    ['an event of another currency', payload('{"currency": "EUR"}'), /amount or currency of the pending event/],
    ['an event of another payee', payload('{"payeeAccountId": "bank"}'), /payload of the pending event/],
    ['an event of another balance', payload('{"payer": {"version": "4"}}'), /payload of the pending event/],
    [
      'an event of another payment id',
      payload('{"paymentId": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}'),
      /payload of the pending event/,
    ],
    [
      'a blocked event of another amount',
      elsewhere('outbox_blocked', '', '{"amountCents": "51"}'),
      /amount or currency of the pending event/,
    ],
    [
      'a dead letter of another amount',
      elsewhere('outbox_dead_letters', ", ''", '{"amountCents": "51"}'),
      /amount or currency of the pending event/,
    ],
  ])('finds %s', async (_, damage, problem) => {
    await corrupt(damage);
    const { problems } = await reconcile(books);
    expect(problems).toContainEqual(expect.stringMatching(problem));
  });

  test.each([1, 2, 3, 7, 1_000])('finds damage at every edge of ranges of %i', async (rangeSize) => {
    await payOften(20);
    expect(await reconcile(books, undefined, rangeSize)).toMatchObject({ problems: [], paymentsExamined: 24 });
    await corrupt('update ledger_entries set amount_cents = amount_cents + 1');
    const problems = new Set((await reconcile(books, undefined, rangeSize)).problems);
    const payments = [...problems].filter((problem) => problem.includes('not those of its kind'));
    expect(payments).toHaveLength(rangeSize === 1_000 ? 5 : rangeSize === 7 ? 18 : 24);
  });

  test('goes on where an interrupted examination of the whole books ended', async () => {
    await payOften(20);
    const history = postgresReconciliationHistory(database.application);
    const examined: (number | string)[] = [];
    let finished = false;
    while (!finished) {
      // As a process of its own each time: nothing but the database knows how far it came.
      const report = await reconcileWhole(postgresBooks(database.application), history, signal, one);
      finished = report.finished;
      examined.push(report.paymentsExamined);
      expect(report.problems).toEqual([]);
    }
    expect(examined.slice(0, 9)).toEqual([3, 6, 9, 12, 15, 18, 21, 24, 24]);
    expect(await history.latest(true)).toMatchObject({ progress: { stage: undefined, paymentsExamined: 24 } });
    // A day has not passed.
    expect(await reconcileWhole(books, history, signal, one)).toMatchObject({ paymentsExamined: 0, finished: true });
  });

  test('raises no alarm at payments made between two ranges', async () => {
    await payOften(6);
    const made: BooksProgress[] = [];
    const busy: Books = {
      ...books,
      async examine(...range) {
        await pay('bank', 'alice', 5n, made.length % 2 === 0 ? 0 : 2_000 * HOUR_MS);
        await pay('alice', 'bob', 5n, 0);
        return books.examine(...range);
      },
    };
    const { problems } = await reconcile(busy, (progress) => made.push(progress), 5);
    expect(problems).toEqual([]);
    expect(made.length).toBeGreaterThan(10);
  });

  test('lets only one of two workers go on with a range', async () => {
    const history = postgresReconciliationHistory(database.application);
    await reconcileWhole(books, history, signal, one);
    const current = (await history.latest(true))!;
    await history.advance(current, { ...current.progress, stage: 'KEYS', after: undefined });
    await expect(history.advance(current, { ...current.progress, stage: 'KEYS', after: undefined })).rejects.toThrow(
      'Another worker',
    );
  });

  test('examines what is recent while the whole is unfinished, again from there until a problem is gone', async () => {
    const history = postgresReconciliationHistory(database.application);
    await reconcileWhole(books, history, signal, one);
    expect(await reconcileRecent(books, history, signal)).toMatchObject({ paymentsExamined: 2, finished: true });
    await corrupt("update account_balances set available_cents = 51 where account_id = 'bob'");
    expect((await reconcileRecent(books, history, signal)).problems).toHaveLength(2);
    expect((await reconcileRecent(books, history, signal)).problems).toHaveLength(2);
    expect(await history.last()).toMatchObject({ problems: 2 });
    await corrupt("update account_balances set available_cents = 50 where account_id = 'bob'");
    expect((await reconcileRecent(books, history, signal)).problems).toEqual([]);
    expect(await history.last()).toMatchObject({ problems: 0 });
  });

  test('examines the whole books once a day, and at once again after a problem', async () => {
    const history = postgresReconciliationHistory(database.application);
    expect(await reconcileWhole(books, history, signal)).toMatchObject({ paymentsExamined: 4 });
    expect(await reconcileWhole(books, history, signal)).toMatchObject({ paymentsExamined: 0 });
    await database.query("update reconciliations set started_at = started_at - interval '1 day'");
    await corrupt("update account_balances set available_cents = 51 where account_id = 'bob'");
    expect((await reconcileWhole(books, history, signal)).problems).toHaveLength(2);
    expect(await reconcileWhole(books, history, signal)).toMatchObject({ paymentsExamined: 4 });
  });

  test('ignores reconciliations from the future, and says so', async () => {
    const history = postgresReconciliationHistory(database.application);
    await reconcileWhole(books, history, signal);
    await reconcileRecent(books, history, signal);
    await database.query("update reconciliations set started_at = started_at + interval '1 year'");
    const ignored = [expect.stringMatching(/^2 reconciliations are recorded as begun in the future/)];
    expect(await reconcileRecent(books, history, signal)).toMatchObject({ paymentsExamined: 2, problems: ignored });
    expect(await reconcileWhole(books, history, signal)).toMatchObject({ paymentsExamined: 4, problems: ignored });
    expect((await history.last())!.problems).toBe(2);
  });
});
