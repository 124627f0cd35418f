import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/database.ts';

// What Postgres must reject whatever the code does, so the code is left out of it.
let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.close());

interface Entry {
  account: string;
  version: number;
  payment: string;
  direction: 'DEBIT' | 'CREDIT';
  amount: number;
  balance: number;
}

/** Inserts entries with one statement. */
function insertEntries(...entries: Entry[]) {
  const row = ({ account, version, payment, direction, amount, balance }: Entry) =>
    `('${account}', ${version}, '${payment}', '${direction}', ${amount}, ${balance}, now())`;
  return database.query(`insert into ledger_entries values ${entries.map(row).join(', ')}`);
}

let payer: string;
let payee: string;

/** Two accounts after a payment of 100 between them: the payer has overdrawn all its limit. */
beforeEach(async () => {
  payer = randomUUID();
  payee = randomUUID();
  await database.query(
    `insert into accounts values ('${payer}', 'RUB', 'CUSTOMER', 100, now()), ('${payee}', 'RUB', 'CUSTOMER', 0, now())`,
  );
  await database.query(
    `insert into account_balances (account_id, currency, overdraft_limit_cents, available_cents, version)
     values ('${payer}', 'RUB', 100, -100, 1), ('${payee}', 'RUB', 0, 100, 1)`,
  );
  const payment = randomUUID();
  await insertEntries(
    { account: payer, version: 1, payment, direction: 'DEBIT', amount: 100, balance: -100 },
    { account: payee, version: 1, payment, direction: 'CREDIT', amount: 100, balance: 100 },
  );
});

describe('balances', () => {
  test('never fall below minus the overdraft limit', async () => {
    const overdraw = `update account_balances set available_cents = available_cents - 1 where account_id = '${payer}'`;
    await expect(database.query(overdraw)).rejects.toThrow('no_overdraft_beyond_limit');
  });

  test('never leave the range of int64', async () => {
    const overflow = `update account_balances set available_cents = 9223372036854775807::bigint + 1 where account_id = '${payee}'`;
    await expect(database.query(overflow)).rejects.toThrow('bigint out of range');
  });

  test('have the currency and the limit of their account, whatever is written', async () => {
    const account = randomUUID();
    await database.query(`insert into accounts values ('${account}', 'RUB', 'CUSTOMER', 5, now())`);
    const terms = `select currency, overdraft_limit_cents from account_balances where account_id = '${account}'`;
    await database.query(
      `insert into account_balances (account_id, currency, overdraft_limit_cents) values ('${account}', 'USD', null)`,
    );
    expect(await database.query(terms)).toEqual([{ currency: 'RUB', overdraft_limit_cents: 5n }]);
    await database.query(`update account_balances set overdraft_limit_cents = null where account_id = '${account}'`);
    expect(await database.query(terms)).toEqual([{ currency: 'RUB', overdraft_limit_cents: 5n }]);
  });

  test('need an account', async () => {
    const balance = `insert into account_balances (account_id, currency, overdraft_limit_cents) values ('nobody', 'RUB', 0)`;
    await expect(database.query(balance)).rejects.toThrow('violates');
  });
});

test.each([
  ['a customer without a limit', `'CUSTOMER', null`],
  ['an external account with a limit', `'EXTERNAL', 0`],
  ['a negative limit', `'CUSTOMER', -1`],
])('accounts: %s is rejected', async (_case, kind) => {
  await expect(database.query(`insert into accounts values ('x', 'RUB', ${kind}, now())`)).rejects.toThrow(
    'check constraint',
  );
});

describe('ledger entries', () => {
  test.each([
    `update ledger_entries set amount_cents = 1`,
    `update ledger_entries set amount_cents = 1 where false`,
    `delete from ledger_entries`,
    `truncate ledger_entries`,
    `update payments set amount_cents = 1`,
    `delete from payments`,
    `truncate payments`,
    `update accounts set overdraft_limit_cents = 1000`,
    `delete from accounts`,
    `delete from account_balances`,
    `truncate account_balances`,
  ])('%s is rejected', async (statement) => {
    await expect(database.query(statement)).rejects.toThrow('append-only');
  });

  test('of a payment must sum to zero', async () => {
    const payment = randomUUID();
    const debit: Entry = { account: payee, version: 2, payment, direction: 'DEBIT', amount: 30, balance: 70 };
    await expect(insertEntries(debit)).rejects.toThrow('sum to zero');
    const credit: Entry = { account: payer, version: 2, payment, direction: 'CREDIT', amount: 29, balance: -71 };
    await expect(insertEntries(debit, credit)).rejects.toThrow('sum to zero');
    await insertEntries(debit, { ...credit, amount: 30, balance: -70 });
  });

  test('sum to zero for each payment, not only all together', async () => {
    await expect(
      insertEntries(
        { account: payee, version: 2, payment: randomUUID(), direction: 'DEBIT', amount: 30, balance: 70 },
        { account: payer, version: 2, payment: randomUUID(), direction: 'CREDIT', amount: 30, balance: -70 },
      ),
    ).rejects.toThrow('sum to zero');
  });

  const next = () => {
    const payment = randomUUID();
    const debit: Entry = { account: payee, version: 2, payment, direction: 'DEBIT', amount: 30, balance: 70 };
    const credit: Entry = { account: payer, version: 2, payment, direction: 'CREDIT', amount: 30, balance: -70 };
    return { debit, credit };
  };

  test('may not repeat a version', async () => {
    const { debit, credit } = next();
    await expect(insertEntries({ ...debit, version: 1 }, credit)).rejects.toThrow('ledger_entries_pkey');
  });

  test('may not leave out a version', async () => {
    const { debit, credit } = next();
    await expect(insertEntries({ ...debit, version: 3 }, credit)).rejects.toThrow('does not follow');
  });

  test('must carry the balance that follows from the one before', async () => {
    const { debit, credit } = next();
    await expect(insertEntries(debit, { ...credit, balance: -71 })).rejects.toThrow('does not follow');
    await insertEntries(debit, credit);
  });

  test('of several payments in one statement follow from each other', async () => {
    const one = next();
    const two = next();
    await insertEntries(
      { ...two.debit, version: 3, balance: 40 },
      { ...two.credit, version: 3, balance: -40 },
      one.debit,
      one.credit,
    );
  });
});

describe('temporary tables do not stand in for', () => {
  const role = `dml_${randomUUID().replaceAll('-', '')}`;
  beforeAll(async () => {
    await database.query(`create role ${role}`);
    await database.query(`grant select, insert, update, delete on all tables in schema public to ${role}`);
    await database.query(`grant temporary on database ${new URL(database.url).pathname.slice(1)} to ${role}`);
  });
  afterAll(async () => {
    await database.query(`drop owned by ${role}`);
    await database.query(`drop role ${role}`);
  });

  /** Runs statements in one transaction of a role that may do no more than read and write rows. */
  async function attack(statements: string[]): Promise<void> {
    const client = await database.pool.connect();
    try {
      await client.query('begin');
      await client.query(`set local role ${role}`);
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.query('rollback');
      client.release();
    }
  }

  test('accounts, to overdraw without a limit', async () => {
    const overdraw = attack([
      `create temporary table accounts (account_id text, currency text, overdraft_limit_cents bigint)`,
      `insert into pg_temp.accounts values ('${payer}', 'RUB', null)`,
      `update public.account_balances set overdraft_limit_cents = null, available_cents = -1000000 where account_id = '${payer}'`,
    ]);
    await expect(overdraw).rejects.toThrow('no_overdraft_beyond_limit');
  });

  test('ledger_entries, to begin an account at any version', async () => {
    const [debtor, creditor, payment] = [randomUUID(), randomUUID(), randomUUID()];
    const forge = attack([
      `create temporary table ledger_entries (account_id text, version bigint, balance_after_cents bigint)`,
      `insert into pg_temp.ledger_entries values ('${debtor}', 41, 0), ('${creditor}', 6, 0)`,
      `insert into public.ledger_entries values
         ('${debtor}', 42, '${payment}', 'DEBIT', 5, -5, now()), ('${creditor}', 7, '${payment}', 'CREDIT', 5, 5, now())`,
    ]);
    await expect(forge).rejects.toThrow('does not follow');
  });

  test('new_entries, to hide entries from the rules', async () => {
    const hide = attack([
      `create temporary table new_entries (like public.ledger_entries)`,
      `insert into public.ledger_entries values ('${payer}', 2, '${randomUUID()}', 'CREDIT', 5, -95, now())`,
    ]);
    await expect(hide).rejects.toThrow('sum to zero');
  });
});

test('one key makes one payment', async () => {
  const claim = `insert into idempotency_keys values ('', '${randomUUID()}', '${randomUUID()}', now())`;
  await database.query(claim);
  await expect(database.query(claim)).rejects.toThrow('idempotency_keys_pkey');
});

test.each([
  ['authorized without entries', `'AUTHORIZED', '', null, null, null, null`],
  ['authorized with a decline', `'AUTHORIZED', '', 'INVALID_AMOUNT', 'No.', 1, 1`],
  ['declined without a reason', `'DECLINED', '', null, null, null, null`],
  ['declined with entries', `'DECLINED', '', 'INVALID_AMOUNT', 'No.', 1, 1`],
])('payments: %s is rejected', async (_case, columns) => {
  const insert = `insert into payments values ('${randomUUID()}', 'a', 'b', 1, 'RUB', ${columns}, now())`;
  await expect(database.query(insert)).rejects.toThrow('authorized_has_entries_declined_has_reason');
});
