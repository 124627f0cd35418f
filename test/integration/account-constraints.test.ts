import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/database.ts';

// What Postgres must reject of changes of accounts whatever the code does, so the code is left out of it.
let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.close());

/** A change as its columns are, without which it freezes nothing and has no limit to spare. */
interface Change {
  revision?: number;
  kind?: 'OPENED' | 'UPDATED' | 'FROZEN' | 'UNFROZEN' | 'CLOSED';
  limit?: number | null;
  debits?: boolean;
  credits?: boolean;
  metadata?: string;
  at?: string;
}

let account: string;
let other: string;

/** By the application's role, which nothing here is taken away from. */
function change(change: Change, of = account) {
  const { revision = 2, kind = 'UPDATED', limit = 100, debits = false, credits = false, metadata, at } = change;
  return database.application.query(
    `insert into account_changes (change_id, account_id, revision, kind, overdraft_limit_cents, debits_frozen,
       credits_frozen, metadata, reason, caller, created_at)
     values (gen_random_uuid(), $1, $2, $3, $4, $5, $6, $7, '', '', coalesce($8::timestamptz, clock_timestamp()))`,
    [of, revision, kind, limit, debits, credits, metadata ?? null, at ?? null],
  );
}

const FREEZE = { kind: 'FROZEN', debits: true, credits: true } as const;

async function termsOf(accountId: string) {
  const [row] = await database.query(
    `select overdraft_limit_cents as "limit", flags from account_balances where account_id = $1`,
    [accountId],
  );
  return row;
}

/** A payment as the version before wrote it: it knows of no flags. */
async function pay(payer: string, payee: string, cents: number) {
  const paymentId = randomUUID();
  await database.application.query(
    `with before as (
       select account_id, version, available_cents,
         case account_id when $2 then -$4::bigint else $4::bigint end as moved
       from account_balances where account_id in ($2, $3)
     ), entered as (
       insert into ledger_entries
       select account_id, version + 1, $1, case account_id when $2 then 'DEBIT' else 'CREDIT' end::entry_direction,
         $4, available_cents + moved, now()
       from before
     )
     update account_balances balance
     set available_cents = before.available_cents + before.moved, version = before.version + 1
     from before where before.account_id = balance.account_id`,
    [paymentId, payer, payee, cents],
  );
}

beforeEach(async () => {
  [account, other] = [randomUUID(), randomUUID()];
  await database.query(
    `insert into accounts
     select account_id, 'RUB', 'CUSTOMER', 100, now() - interval '1 hour' from unnest($1::text[]) as account_id`,
    [[account, other]],
  );
  await database.query('insert into account_balances (account_id) select unnest($1::text[])', [[account, other]]);
});

describe('what a change says holds at once', () => {
  test('the overdraft limit', async () => {
    await change({ limit: 250 });
    expect(await termsOf(account)).toEqual({ limit: 250n, flags: 0 });
  });

  test.each([
    [{ debits: true }, 1],
    [{ credits: true }, 2],
    [{ debits: true, credits: true }, 3],
  ])('freezing %j', async (frozen, flags) => {
    await change({ kind: 'FROZEN', ...frozen });
    expect(await termsOf(account)).toEqual({ limit: 100n, flags });
    await change({ kind: 'UNFROZEN', revision: 3 });
    expect(await termsOf(account)).toEqual({ limit: 100n, flags: 0 });
  });

  test('closing, frozen or not', async () => {
    await change({ kind: 'CLOSED' });
    expect(await termsOf(account)).toEqual({ limit: 100n, flags: 4 });
    await change(FREEZE, other);
    await change({ ...FREEZE, kind: 'CLOSED', revision: 3 }, other);
    expect(await termsOf(other)).toEqual({ limit: 100n, flags: 7 });
  });

  test('and nothing else changes a balance', async () => {
    await change({ ...FREEZE });
    const flag = `update account_balances set flags = 0, overdraft_limit_cents = 1000 where account_id = '${account}'`;
    await expect(database.application.query(flag)).rejects.toThrow('permission denied');
    await database.query(flag);
    expect(await termsOf(account)).toEqual({ limit: 100n, flags: 3 });
  });
});

describe('the history of an account', () => {
  test.each([
    `update account_changes set reason = 'another'`,
    `update account_changes set reason = 'another' where false`,
    `delete from account_changes`,
    `truncate account_changes`,
  ])('%s is rejected', async (statement) => {
    await change({});
    await expect(database.query(statement)).rejects.toThrow('append-only');
    await expect(database.application.query(statement)).rejects.toThrow('permission denied');
  });

  test.each<[string, Change[], Change, string]>([
    ['a change that leaves one out', [], { revision: 3 }, 'account_changes_form_a_chain'],
    ['a change with the number of another', [{}], { revision: 2 }, 'account_changes_form_a_chain'],
    ['a change with the number of the opening', [], { revision: 1 }, 'account_changes_form_a_chain'],
    ['an opening after a change', [{}], { revision: 3, kind: 'OPENED' }, 'the_opening_is_the_first'],
    ['a second opening', [{ revision: 1, kind: 'OPENED' }], { revision: 1, kind: 'OPENED' }, 'form_a_chain'],
    ['a change before the one before', [{}], { revision: 3, at: '2020-01-01' }, 'account_changes_are_in_order'],
    ['a change before the account was opened', [], { at: '2020-01-01' }, 'account_changes_are_in_order'],
    ['a negative limit', [], { limit: -1 }, 'overdraft_limit_cents'],
    ['a customer without a limit', [], { limit: null }, 'only_external_is_unlimited'],
    ['an opening with another limit', [], { revision: 1, kind: 'OPENED', limit: 7 }, 'only_an_update_changes_terms'],
    ['a freeze that changes the limit', [], { ...FREEZE, limit: 7 }, 'only_an_update_changes_terms'],
    ['a freeze that changes metadata', [], { ...FREEZE, metadata: '{"a": "b"}' }, 'only_an_update_changes_terms'],
    ['an update that freezes', [], { debits: true }, 'only_a_freeze_freezes'],
    ['an unfreeze that freezes', [], { kind: 'UNFROZEN', credits: true }, 'only_a_freeze_freezes'],
    ['a closing that freezes', [], { kind: 'CLOSED', debits: true }, 'only_a_freeze_freezes'],
    ['an update that unfreezes', [FREEZE], { revision: 3 }, 'only_an_unfreeze_unfreezes'],
    ['a freeze that unfreezes', [FREEZE], { revision: 3, kind: 'FROZEN', debits: true }, 'only_an_unfreeze_unfreezes'],
    ['a closing that unfreezes', [FREEZE], { revision: 3, kind: 'CLOSED' }, 'only_an_unfreeze_unfreezes'],
    ['a change after the closing', [{ kind: 'CLOSED' }], { revision: 3 }, 'closed_is_final'],
    ['a second closing', [{ kind: 'CLOSED' }], { revision: 3, kind: 'CLOSED' }, 'closed_is_final'],
  ])('%s is rejected', async (_case, before, last, rule) => {
    for (const [n, each] of before.entries()) await change({ revision: n + 2, ...each });
    const terms = await termsOf(account);
    await expect(change(last)).rejects.toThrow(rule);
    expect(await termsOf(account)).toEqual(terms);
  });

  test('a change of an account that there is not is rejected', async () => {
    await expect(change({}, 'nobody')).rejects.toThrow();
  });

  test('two changes at the same time come one after the other', async () => {
    const results = await Promise.allSettled([change({ limit: 1 }), change({ limit: 2 }), change({ limit: 3 })]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const [last] = await database.query(
      'select overdraft_limit_cents as "limit" from account_changes where account_id = $1',
      [account],
    );
    expect(await termsOf(account)).toEqual({ ...last, flags: 0 });
  });
});

describe('money', () => {
  test('an overdraft limit below what is used is rejected', async () => {
    await pay(account, other, 60);
    await expect(change({ limit: 59 })).rejects.toThrow('no_overdraft_beyond_limit');
    await change({ limit: 60 });
    await expect(pay(account, other, 1)).rejects.toThrow('no_overdraft_beyond_limit');
  });

  test.each(['holds', 'owes'])('closing an account that %s money is rejected', async (which) => {
    await pay(account, other, 60);
    await expect(change({ kind: 'CLOSED' }, which === 'holds' ? other : account)).rejects.toThrow(
      'closed_holds_nothing',
    );
  });

  test.each([
    ['to a closed account', { kind: 'CLOSED' }, 'in', /is closed: .* a CREDIT|closed_holds_nothing/],
    ['from a closed account', { kind: 'CLOSED' }, 'out', /is closed: .* a DEBIT|closed_holds_nothing/],
    ['to an account whose credits are frozen', { kind: 'FROZEN', credits: true }, 'in', /is frozen: .* a CREDIT/],
    ['from an account whose debits are frozen', { kind: 'FROZEN', debits: true }, 'out', /is frozen: .* a DEBIT/],
  ] as const)('a payment %s is rejected, by whichever version it is written', async (_case, frozen, way, message) => {
    await change(frozen);
    const paid = way === 'in' ? pay(other, account, 5) : pay(account, other, 5);
    await expect(paid).rejects.toThrow(message);
  });

  test('one that comes to nothing for a frozen account is rejected too', async () => {
    await change(FREEZE);
    const [first, second] = [randomUUID(), randomUUID()];
    // Five in and five out: the balance is the same afterwards.
    const both = `
      with entered as (
        insert into ledger_entries values
          ('${account}', 1, '${first}', 'CREDIT', 5, 5, now()), ('${other}', 1, '${first}', 'DEBIT', 5, -5, now()),
          ('${account}', 2, '${second}', 'DEBIT', 5, 0, now()), ('${other}', 2, '${second}', 'CREDIT', 5, 0, now())
      )
      update account_balances set version = 2 where account_id in ('${account}', '${other}')`;
    await expect(database.application.query(both)).rejects.toThrow('is frozen');
  });

  test('the direction that is not frozen stays open', async () => {
    await change({ kind: 'FROZEN', debits: true });
    await pay(other, account, 5);
    await change({ kind: 'FROZEN', credits: true }, other);
    await expect(pay(account, other, 5)).rejects.toThrow('is frozen');
    await change({ kind: 'UNFROZEN', revision: 3 });
    await expect(pay(account, other, 5)).rejects.toThrow('is frozen');
    await change({ kind: 'UNFROZEN', revision: 3 }, other);
    await pay(account, other, 5);
  });
});
