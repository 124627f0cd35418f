import { monotonicFactory } from 'ulid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { authorizePayments, type Outcome } from '../../src/app/authorize-payments.ts';
import { GroupCommit } from '../../src/app/group-commit.ts';
import type { AuthorizeCommand } from '../../src/app/ports.ts';
import { createPool } from '../../src/infra/postgres/pool.ts';
import { shardCount } from '../../src/infra/postgres/repositories/outbox.ts';
import { PostgresUnitOfWork } from '../../src/infra/postgres/unit-of-work.ts';
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
  proxy = await startCuttingProxy(database.url);
  pool = createPool({
    connectionString: proxy.url,
    max: 4,
    applicationName: 'test',
    queryTimeoutMs: 10_000,
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
    paymentId: newId(),
    caller: '',
    idempotencyKey: crypto.randomUUID(),
    payerAccountId: 'world',
    payeeAccountId: 'a',
    amountCents: 10n,
    currency: 'RUB',
    description: '',
    ...overrides,
  };
}

function groupCommit(
  execute = (commands: readonly AuthorizeCommand[]) => authorizePayments(unitOfWork, commands, new Date()),
) {
  return new GroupCommit<AuthorizeCommand, Outcome>(execute, { maxBatch: 100, maxQueue: 1_000 });
}

async function countPayments(...ids: string[]): Promise<number> {
  const [row] = await database.query<{ count: bigint }>(
    `select count(*) from payments join idempotency_keys using (payment_id) where key = any($1)`,
    [ids],
  );
  return Number(row!.count);
}

describe('one batch', () => {
  test('decides in the order of arrival: money that came in can go out', async () => {
    const batch = [
      command({ payerAccountId: 'b', payeeAccountId: 'a', amountCents: 7n }),
      command({ payeeAccountId: 'b', amountCents: 7n }),
      command({ payerAccountId: 'b', payeeAccountId: 'a', amountCents: 7n }),
      command({ payerAccountId: 'b', payeeAccountId: 'a', amountCents: 1n }),
    ];
    const outcomes = await authorizePayments(unitOfWork, batch, new Date());
    expect(outcomes.map(({ payment }) => payment.verdict.status)).toEqual([
      'DECLINED',
      'AUTHORIZED',
      'AUTHORIZED',
      'DECLINED',
    ]);
    expect(await auditBooks(database)).toEqual([]);
  });

  test('settles a key that stands in it several times: first come, first served', async () => {
    const first = command();
    const same = { ...first, paymentId: newId() };
    const other = { ...first, paymentId: newId(), amountCents: 11n };
    const outcomes = await authorizePayments(unitOfWork, [first, same, other], new Date());
    expect(outcomes.map(({ kind }) => kind)).toEqual(['DECIDED', 'DUPLICATE', 'KEY_REUSED']);
    expect(new Set(outcomes.map(({ payment }) => payment.paymentId))).toEqual(new Set([first.paymentId]));
  });

  test('keeps the keys of different callers apart', async () => {
    const one = command({ caller: 'one' });
    const two = { ...one, caller: 'two', paymentId: newId(), amountCents: 99n };
    const outcomes = await authorizePayments(unitOfWork, [one, two], new Date());
    expect(outcomes.map(({ kind }) => kind)).toEqual(['DECIDED', 'DECIDED']);
  });

  test('writes events of a payer at rising positions', async () => {
    const batch = Array.from({ length: 50 }, () => command());
    await authorizePayments(unitOfWork, batch, new Date());
    const rows = await database.query<{ id: string }>(
      `select payload->>'paymentId' as id from outbox where aggregateid = 'world' order by position desc limit 50`,
    );
    expect(rows.map(({ id }) => id).reverse()).toEqual(batch.map(({ paymentId }) => paymentId));
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
      expect(outcome).toMatchObject({ kind: 'DECIDED', payment: { paymentId: wanted.paymentId } });
      expect(await countPayments(wanted.idempotencyKey)).toBe(1);
      expect(await auditBooks(database)).toEqual([]);
    },
  );

  test('every time: UNAVAILABLE, and the same key then finds the payment', async () => {
    const wanted = command();
    proxy.cutCommits = 4;
    await expect(groupCommit().submit(wanted, present)).rejects.toMatchObject({ problem: { kind: 'UNAVAILABLE' } });
    const repeated = await groupCommit().submit({ ...wanted, paymentId: newId() }, present);
    expect(repeated).toMatchObject({ kind: 'DUPLICATE', payment: { paymentId: wanted.paymentId } });
    expect(await countPayments(wanted.idempotencyKey)).toBe(1);
  });
});

test('a command that Postgres refuses fails alone; its batch is authorized', async () => {
  // A NUL cannot be stored; the API turns it away long before this.
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
  });
  await expect(failing).rejects.toThrow('half-way');
  const outcome = await groupCommit().submit(wanted, present);
  expect(outcome.kind).toBe('DECIDED');
});

test('transactions that want the same accounts and keys in opposite order do not deadlock', async () => {
  const groups = [groupCommit(), groupCommit(), groupCommit()];
  const keys = Array.from({ length: 30 }, () => crypto.randomUUID());
  const outcomes = await Promise.all(
    groups.flatMap((group, index) =>
      (index % 2 === 0 ? keys : keys.toReversed()).map((idempotencyKey, i) =>
        group
          .submit(command({ idempotencyKey, ...(i % 2 === 0 ? {} : { payeeAccountId: 'b' }) }), present)
          .catch((error) => error),
      ),
    ),
  );
  expect(outcomes.filter((outcome) => outcome instanceof Error)).toEqual([]);
  expect(outcomes.filter(({ kind }) => kind === 'DECIDED')).toHaveLength(keys.length);
  expect(await auditBooks(database)).toEqual([]);
});
