import { monotonicFactory } from 'ulid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AuthorizeCommand } from '../../src/app/commands.ts';
import { decidePayments, type Outcome, paymentTransaction } from '../../src/app/decide-payments.ts';
import { ContendedError, ExternalPayerError } from '../../src/app/errors.ts';
import { GroupCommit } from '../../src/app/group-commit.ts';
import { shardCount } from '../../src/infra/postgres/outbox/shard-count.ts';
import { claimKeys } from '../../src/infra/postgres/payments/claim-keys.ts';
import { PostgresUnitOfWork } from '../../src/infra/postgres/payments/unit-of-work.ts';
import { createPool } from '../../src/infra/postgres/pool.ts';
import { probeWritable } from '../../src/infra/postgres/probe.ts';
import type { Transaction } from '../../src/infra/postgres/statement.ts';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { auditBooks } from '../support/books.ts';
import { type CuttingProxy, startCuttingProxy } from '../support/cutting-proxy.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

// The write path below gRPC, where failures can be placed exactly.
let database: TestDatabase;
let proxy: CuttingProxy;
let pool: ReturnType<typeof createPool>;
let unitOfWork: PostgresUnitOfWork;

beforeAll(async () => {
  database = await createDatabase();
  proxy = await startCuttingProxy(applicationAddress(database.url));
  pool = createPool({
    connectionString: proxy.url,
    max: 4,
    applicationName: 'test',
    queryTimeoutMs: 10_000,
    serverTimeouts: { statement: 5_000, lock: 300, idleInTransaction: 1_000 },
    onIdleError: () => undefined,
  });
  unitOfWork = new PostgresUnitOfWork(pool, shardCount(pool));
  await database.query(`insert into accounts values
    ('world', 'RUB', 'EXTERNAL', null, now()), ('a', 'RUB', 'CUSTOMER', 0, now()), ('b', 'RUB', 'CUSTOMER', 0, now())`);
  await database.query(`insert into account_balances (account_id, currency, overdraft_limit_cents)
    select account_id, currency, overdraft_limit_cents from accounts`);
});
afterAll(async () => {
  await pool.end();
  await proxy.close();
  await database.close();
});

const newId = monotonicFactory();
const present = () => false;

function command(overrides: Partial<AuthorizeCommand> = {}): AuthorizeCommand {
  return {
    kind: 'PAYMENT',
    actionId: newId(),
    caller: '',
    mayPayFromExternal: true,
    idempotencyKey: crypto.randomUUID(),
    payerAccountId: 'world',
    payeeAccountId: 'a',
    amountCents: 10n,
    currency: 'RUB',
    description: '',
    ...overrides,
  };
}

/** Longer than any lock is kept in these tests, unless they are about that. */
const PATIENT = { lockWaitMs: 5_000, deadlineMs: Number.POSITIVE_INFINITY };

function authorize(commands: readonly AuthorizeCommand[], on = unitOfWork): Promise<Outcome[]> {
  return decidePayments(on, commands, new Date(), PATIENT);
}

function groupCommit() {
  const transaction = paymentTransaction(unitOfWork, { committed: () => undefined });
  return new GroupCommit(transaction, { maxBatch: 100, maxQueue: 1_000 });
}

async function countPayments(...ids: string[]): Promise<number> {
  const [row] = await database.query<{ count: bigint }>(
    `select count(*) from payments join idempotency_keys using (payment_id) where key = any($1)`,
    [ids],
  );
  return Number(row!.count);
}

async function openAccounts(...accountIds: string[]): Promise<void> {
  await database.query(
    `with opened as (insert into accounts select id, 'RUB', 'CUSTOMER', 0, now() from unnest($1::text[]) id returning account_id)
     insert into account_balances (account_id) select account_id from opened`,
    [accountIds],
  );
}

describe('one batch', () => {
  test('decides in the order of arrival: money that came in can go out', async () => {
    const batch = [
      command({ payerAccountId: 'b', payeeAccountId: 'a', amountCents: 7n }),
      command({ payeeAccountId: 'b', amountCents: 7n }),
      command({ payerAccountId: 'b', payeeAccountId: 'a', amountCents: 7n }),
      command({ payerAccountId: 'b', payeeAccountId: 'a', amountCents: 1n }),
    ];
    const outcomes = await authorize(batch);
    expect(outcomes.map((outcome) => outcome.action?.verdict.status)).toEqual([
      'DECLINED',
      'AUTHORIZED',
      'AUTHORIZED',
      'DECLINED',
    ]);
    expect(await auditBooks(database)).toEqual([]);
  });

  test('decides a key that stands in it several times: first come, first served', async () => {
    const first = command();
    const same = { ...first, actionId: newId() };
    const other = { ...first, actionId: newId(), amountCents: 11n };
    const outcomes = await authorize([first, same, other]);
    expect(outcomes.map(({ kind }) => kind)).toEqual(['DECIDED', 'DUPLICATE', 'KEY_REUSED']);
    expect(new Set(outcomes.map((outcome) => outcome.action?.actionId))).toEqual(new Set([first.actionId]));
  });

  test('keeps the keys of different callers apart', async () => {
    const one = command({ caller: 'one' });
    const two = { ...one, caller: 'two', actionId: newId(), amountCents: 99n };
    const outcomes = await authorize([one, two]);
    expect(outcomes.map(({ kind }) => kind)).toEqual(['DECIDED', 'DECIDED']);
  });

  test('in which a caller may not pay from outside stores nothing of that, and all of the others', async () => {
    const denied = command({ mayPayFromExternal: false });
    // The same key again: it is as free as if nobody had used it.
    const allowed = command({ idempotencyKey: denied.idempotencyKey, payerAccountId: 'b', payeeAccountId: 'a' });
    const others = Array.from({ length: 20 }, () => command());
    const batch = [denied, allowed, ...others];
    const commit = groupCommit();
    const first = commit.submit(command(), present);
    const results = await Promise.allSettled(batch.map((each) => commit.submit(each, present)));
    await first;
    const [rejected, ...fulfilled] = results;
    expect(rejected).toMatchObject({ reason: new ExternalPayerError('world') });
    expect(
      fulfilled.map((result) => (result.status === 'fulfilled' ? result.value.kind : String(result.reason))),
    ).toEqual(fulfilled.map(() => 'DECIDED'));
    expect(await countPayments(denied.actionId)).toBe(0);
    expect(await auditBooks(database)).toEqual([]);
  });

  test('writes events of a payer at rising positions', async () => {
    const batch = Array.from({ length: 50 }, () => command());
    await authorize(batch);
    const rows = await database.query<{ id: string }>(
      `select payload->>'paymentId' as id from outbox where aggregateid = 'world' order by position desc limit 50`,
    );
    expect(rows.map(({ id }) => id).reverse()).toEqual(batch.map(({ actionId }) => actionId));
  });
});

describe('a connection lost after COMMIT was sent', () => {
  test.each([1, 2, 3])(
    '%d times in a row: one payment, and its caller hears AUTHORIZED, not DUPLICATE',
    async (times) => {
      const wanted = command();
      const before = proxy.cut;
      proxy.cutCommits = times;
      const outcome = await groupCommit().submit(wanted, present);
      expect(proxy.cut - before).toBe(times);
      expect(outcome).toMatchObject({ kind: 'DECIDED', action: { actionId: wanted.actionId } });
      expect(await countPayments(wanted.idempotencyKey)).toBe(1);
      expect(await auditBooks(database)).toEqual([]);
    },
  );

  test('every time: UNAVAILABLE, and the same key then finds the payment', async () => {
    const wanted = command();
    proxy.cutCommits = 4;
    await expect(groupCommit().submit(wanted, present)).rejects.toMatchObject({ problem: { kind: 'UNAVAILABLE' } });
    const repeated = await groupCommit().submit({ ...wanted, actionId: newId() }, present);
    expect(repeated).toMatchObject({ kind: 'DUPLICATE', action: { actionId: wanted.actionId } });
    expect(await countPayments(wanted.idempotencyKey)).toBe(1);
  });
});

test('a command that Postgres rejects fails alone; its batch is authorized', async () => {
  // A NUL cannot be stored; the API rejects it long before this.
  const bad = command({ description: '\0' });
  const good = [command(), command(), command()];
  const group = groupCommit();
  const results = await Promise.allSettled(
    [command(), good[0]!, bad, good[1]!, good[2]!].map((each) => group.submit(each, present)),
  );
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  expect(await countPayments(bad.idempotencyKey)).toBe(0);
  expect(await countPayments(...good.map(({ idempotencyKey }) => idempotencyKey))).toBe(3);
  expect(await auditBooks(database)).toEqual([]);
});

test('an error inside the transaction leaves nothing behind and the connection in good order', async () => {
  const wanted = command();
  const failing = unitOfWork.run(async (transaction) => {
    await transaction.claimKeys([wanted], new Date());
    throw new Error('half-way');
  }, PATIENT);
  await expect(failing).rejects.toThrow('half-way');
  const outcome = await groupCommit().submit(wanted, present);
  expect(outcome.kind).toBe('DECIDED');
});

test('transactions that want the same accounts and keys in opposite order do not deadlock', async () => {
  const keys = Array.from({ length: 30 }, () => crypto.randomUUID());
  const accounts = Array.from({ length: 20 }, (_, i) => `deadlock-${i}`);
  await openAccounts(...accounts);
  const batch = (order: readonly string[], accountOrder: readonly string[]) =>
    order.map((idempotencyKey, i) =>
      command({ idempotencyKey, payeeAccountId: accountOrder[i % accountOrder.length]! }),
    );
  // No group commit here, which would run again what Postgres breaks off as a deadlock.
  for (let round = 0; round < 10; round++) {
    const fresh = keys.map((key) => `${key}-${round}`);
    const outcomes = await Promise.all([
      authorize(batch(fresh, accounts)),
      authorize(batch(fresh.toReversed(), accounts.toReversed())),
      authorize(batch(fresh, accounts.toReversed())),
    ]);
    expect(outcomes.flat().filter(({ kind }) => kind === 'DECIDED')).toHaveLength(keys.length);
  }
  const [{ deadlocks }] = (await database.query<{ deadlocks: bigint }>(
    'select deadlocks from pg_stat_database where datname = current_database()',
  )) as [{ deadlocks: bigint }];
  expect(deadlocks).toBe(0n);
  expect(await auditBooks(database)).toEqual([]);
});

describe('a lock that another transaction does not give back', () => {
  /** A group commit that notes which batches did not get their locks. */
  function observedGroupCommit() {
    const transaction = paymentTransaction(unitOfWork, { committed: () => undefined });
    const contended: (readonly AuthorizeCommand[])[] = [];
    const group = new GroupCommit<AuthorizeCommand, Outcome>(
      {
        ...transaction,
        async execute(commands, limits) {
          try {
            return await transaction.execute(commands, limits);
          } catch (error) {
            if (error instanceof ContendedError) contended.push(commands);
            throw error;
          }
        },
      },
      { maxBatch: 100, maxQueue: 1_000 },
    );
    return { group, contended };
  }

  async function whileLocked(lock: string, values: unknown[], check: () => Promise<void>): Promise<void> {
    const holder = await database.pool.connect();
    try {
      await holder.query('begin');
      await holder.query(lock, values);
      await check();
    } finally {
      await holder.query('rollback');
      holder.release();
    }
  }

  const lockAccount = `select from account_balances where account_id = $1 for update`;
  const claimKey = `insert into idempotency_keys values ('', $1, gen_random_uuid(), now())`;

  // Accounts are locked in the order of their ids: before their payer 'world', and after it.
  test.each(['stuck', 'z-stuck'])(
    'on account %s: its payments are UNAVAILABLE, others wait once at most',
    async (id) => {
      await openAccounts(id, `${id}-busy`);
      const { group, contended } = observedGroupCommit();
      const stuck = () => command({ payeeAccountId: id });
      const others = (count: number) => Array.from({ length: count }, () => command({ payeeAccountId: `${id}-busy` }));
      await whileLocked(lockAccount, [id], async () => {
        const first = [...others(2), stuck(), ...others(40)].map((each) => group.submit(each, present));
        const results = await Promise.allSettled(first);
        expect(results.map(({ status }) => status)).toEqual(
          first.map((_, index) => (index === 2 ? 'rejected' : 'fulfilled')),
        );
        expect(results[2]).toMatchObject({ reason: { problem: { kind: 'UNAVAILABLE' } } });

        contended.length = 0;
        const stuckCalls: Promise<unknown>[] = [];
        for (let round = 0; round < 20; round++) {
          const mixed = [...others(5), stuck(), ...others(5)].map((each) => group.submit(each, present));
          stuckCalls.push(...mixed.splice(5, 1).map((call) => call.catch((error: unknown) => error)));
          await Promise.all(mixed);
        }
        for (const answer of await Promise.all(stuckCalls)) {
          expect(answer).toMatchObject({ problem: { kind: 'UNAVAILABLE' } });
        }
        expect(contended).toEqual([]);
      });
      const afterwards = stuck();
      expect(await group.submit(afterwards, present)).toMatchObject({ kind: 'DECIDED' });
      expect(await countPayments(afterwards.idempotencyKey)).toBe(1);
      expect(await auditBooks(database)).toEqual([]);
    },
  );

  test('on a key: its payment is UNAVAILABLE, and those of others wait for it once at most', async () => {
    const { group, contended } = observedGroupCommit();
    const stuck = command();
    await whileLocked(claimKey, [stuck.idempotencyKey], async () => {
      const batch = [command(), command(), stuck, ...Array.from({ length: 40 }, () => command())];
      const results = await Promise.allSettled(batch.map((each) => group.submit(each, present)));
      expect(results.map(({ status }) => status)).toEqual(
        batch.map((each) => (each === stuck ? 'rejected' : 'fulfilled')),
      );

      contended.length = 0;
      const repeated = group.submit({ ...stuck, actionId: newId() }, present).catch((error: unknown) => error);
      await Promise.all(Array.from({ length: 40 }, () => group.submit(command(), present)));
      expect(await repeated).toMatchObject({ problem: { kind: 'UNAVAILABLE' } });
      expect(contended).toEqual([]);
    });
    expect(await group.submit(stuck, present)).toMatchObject({ kind: 'DECIDED' });
    expect(await countPayments(stuck.idempotencyKey)).toBe(1);
  });

  test('that is given back while its payments wait for it: they are authorized', async () => {
    await openAccounts('late');
    const group = groupCommit();
    const late = [command({ payeeAccountId: 'late' }), command({ payeeAccountId: 'late' })];
    let outcomes: Promise<Outcome[]> | undefined;
    await whileLocked(lockAccount, ['late'], async () => {
      outcomes = Promise.all(late.map((each) => group.submit(each, present)));
      await new Promise((resume) => setTimeout(resume, 500));
    });
    expect((await outcomes)?.map(({ kind }) => kind)).toEqual(['DECIDED', 'DECIDED']);
  });

  test.each([
    ['account_balances', 'access exclusive'],
    ['account_balances', 'share'],
    ['idempotency_keys', 'share'],
    ['payments', 'share'],
  ])('on all of %s (%s): everybody is UNAVAILABLE until it is given back', async (table, mode) => {
    const group = groupCommit();
    const submit = (count: number) =>
      Promise.allSettled(Array.from({ length: count }, () => group.submit(command(), present)));
    await whileLocked(`lock table ${table} in ${mode} mode`, [], async () => {
      for (const result of await submit(50)) {
        expect(result).toMatchObject({ status: 'rejected', reason: { problem: { kind: 'UNAVAILABLE' } } });
      }
    });
    expect((await submit(50)).map(({ status }) => status)).toEqual(Array(50).fill('fulfilled'));
    expect(await auditBooks(database)).toEqual([]);
  });

  test('who keeps a lock is known, and whether it is a transaction of this process', async () => {
    await openAccounts('theirs', 'own', 'free');
    const accounts = ['theirs', 'own', 'free', 'no-such-account'].map((accountId) => ({ name: accountId, accountId }));
    const keys = ['claimed', 'new'].map((idempotencyKey) => ({ name: idempotencyKey, caller: '', idempotencyKey }));
    await whileLocked(lockAccount, ['theirs'], () =>
      whileLocked(claimKey, ['claimed'], () =>
        unitOfWork.run(async (transaction) => {
          await transaction.lockBalances(['own']);
          const kept = await unitOfWork.keptLocks([...accounts, ...keys]);
          expect([...kept.keys()].sort()).toEqual(['claimed', 'own', 'theirs']);
          expect(kept.get('theirs')?.ours).toBe(false);
          expect(kept.get('own')?.ours).toBe(true);
          expect(await unitOfWork.keptLocks([...accounts, ...keys])).toEqual(kept);
          return { result: undefined, changes: undefined };
        }, PATIENT),
      ),
    );
    expect((await unitOfWork.keptLocks([...accounts, ...keys])).size).toBe(0);
    expect(await database.query(`select from idempotency_keys where key in ('claimed', 'new')`)).toEqual([]);
  });

  test('goes when the process that keeps it is frozen', async () => {
    await openAccounts('frozen');
    const holder = await pool.connect();
    holder.on('error', () => undefined);
    await holder.query(`begin; select from account_balances where account_id = 'frozen' for update`);
    await new Promise((resume) => setTimeout(resume, 1_500));
    const outcome = await groupCommit().submit(command({ payeeAccountId: 'frozen' }), present);
    expect(outcome.kind).toBe('DECIDED');
    holder.release(true);
  });
});

test('keys cannot be claimed outside a transaction', async () => {
  // The type forbids it; the statement itself does as well, should BEGIN have failed.
  const claimed = await claimKeys(pool as unknown as Transaction, [command()], new Date());
  expect(claimed).toBe(0);
});

test('a pool of one connection is enough', async () => {
  const single = createPool({
    connectionString: database.url,
    max: 1,
    applicationName: 'test',
    queryTimeoutMs: 10_000,
    onIdleError: () => undefined,
  });
  const alone = new PostgresUnitOfWork(single, shardCount(single));
  const [outcome] = await authorize([command()], alone);
  expect(outcome?.kind).toBe('DECIDED');
  await single.end();
});

test('a server that takes no writes is UNAVAILABLE, and its connections are not kept', async () => {
  await database.query(
    `alter database ${new URL(database.url).pathname.slice(1)} set default_transaction_read_only = on`,
  );
  const standby = createPool({
    connectionString: database.url,
    max: 1,
    applicationName: 'test',
    queryTimeoutMs: 10_000,
    onIdleError: () => undefined,
  });
  try {
    const failing = new PostgresUnitOfWork(standby, shardCount(standby));
    await expect(authorize([command()], failing)).rejects.toMatchObject({
      problem: { kind: 'UNAVAILABLE' },
    });
    await expect(probeWritable(standby)).rejects.toThrow('read-only');
    expect(standby.totalCount).toBe(1);
  } finally {
    await standby.end();
    const name = new URL(database.url).pathname.slice(1);
    await database.query(
      `set default_transaction_read_only = off; alter database ${name} reset default_transaction_read_only`,
    );
  }
});
