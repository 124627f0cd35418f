import { monotonicFactory } from 'ulid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CaptureCommand, HoldCommand, PaymentCommand, VoidCommand } from '../../src/app/commands.ts';
import { decidePayments, type Outcome, paymentTransaction } from '../../src/app/decide-payments.ts';
import type { Action, Payment } from '../../src/app/domain/payment.ts';
import { ContendedError } from '../../src/app/errors.ts';
import { ExpirySweeper } from '../../src/app/expiry-sweeper.ts';
import { GroupCommit } from '../../src/app/group-commit.ts';
import { ulidToUuid } from '../../src/app/ulid.ts';
import { shardCount } from '../../src/infra/postgres/outbox/shard-count.ts';
import { postgresLedger } from '../../src/infra/postgres/payments/ledger.ts';
import { PostgresUnitOfWork } from '../../src/infra/postgres/payments/unit-of-work.ts';
import { createPool } from '../../src/infra/postgres/pool.ts';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { auditBooks } from '../support/books.ts';
import { type CuttingProxy, startCuttingProxy } from '../support/cutting-proxy.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

// The write path of holds below gRPC, where failures can be placed exactly.
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
    serverTimeouts: { statement: 5_000, lock: 300, idleInTransaction: 5_000 },
    onIdleError: () => undefined,
  });
  unitOfWork = new PostgresUnitOfWork(pool, shardCount(pool));
  await database.query(`insert into accounts values
    ('world', 'RUB', 'EXTERNAL', null, now()), ('shop', 'RUB', 'CUSTOMER', 0, now()), ('z', 'RUB', 'CUSTOMER', 0, now())`);
  await database.query(`insert into account_balances (account_id, currency) select account_id, currency from accounts`);
});
afterAll(async () => {
  expect(await auditBooks(database)).toEqual([]);
  await pool.end();
  await proxy.close();
  await database.close();
});

const newId = monotonicFactory();
const present = () => false;
const PATIENT = { lockWaitMs: 5_000, deadlineMs: Number.POSITIVE_INFINITY };

function call() {
  const notes = { description: '' };
  return { ...notes, actionId: newId(), caller: '', idempotencyKey: crypto.randomUUID(), mayPayFromExternal: true };
}

function holdCommand(overrides: Partial<HoldCommand> = {}): HoldCommand {
  const parties = { payerAccountId: 'world', payeeAccountId: 'shop', currency: 'RUB' };
  return { kind: 'HOLD', ...call(), ...parties, amountCents: 10n, ttlMs: 600_000, ...overrides };
}

function captureOf(payment: Payment, overrides: Partial<CaptureCommand> = {}): CaptureCommand {
  const asked = { requestedCents: undefined, keepRemainder: false };
  return { kind: 'CAPTURE', expiryId: newId(), ...call(), payment, ...asked, ...overrides };
}

function voidOf(payment: Payment): VoidCommand {
  return { kind: 'VOID', expiryId: newId(), ...call(), payment };
}

function decide(...commands: PaymentCommand[]): Promise<Outcome[]> {
  return decidePayments(unitOfWork, commands, new Date(), PATIENT);
}

async function holds(count: number, overrides: Partial<HoldCommand> = {}): Promise<Payment[]> {
  const outcomes = await decide(...Array.from({ length: count }, () => holdCommand(overrides)));
  return outcomes.map(({ action }) => action as Payment);
}

function groupCommit() {
  const transaction = paymentTransaction(unitOfWork, { committed: () => undefined });
  return new GroupCommit(transaction, { maxBatch: 100, maxQueue: 1_000 });
}

const code = ({ action }: Outcome) => (action?.verdict.status === 'DECLINED' ? action.verdict.decline.code : undefined);

/** The kinds and statuses of the later actions on the payment, in the order of their events. */
async function later({ paymentId }: Payment): Promise<string[]> {
  const rows = await database.query<{ what: string }>(
    `select kind || ' ' || status as what from payments join outbox on outbox.id = payment_id
     where parent_id = $1 order by position`,
    [ulidToUuid(paymentId)],
  );
  return rows.map(({ what }) => what);
}

describe('a batch of all kinds', () => {
  test('is decided in the order of arrival, each on what the ones before left', async () => {
    const [payment] = (await holds(1)) as [Payment];
    const outcomes = await decide(
      captureOf(payment, { requestedCents: 4n, keepRemainder: true }),
      captureOf(payment, { requestedCents: 7n }),
      holdCommand({ payerAccountId: 'shop', payeeAccountId: 'z', amountCents: 4n }),
      { ...holdCommand({ payerAccountId: 'shop', payeeAccountId: 'z', amountCents: 1n }) },
      voidOf(payment),
      captureOf(payment),
    );
    expect(outcomes.map(code)).toEqual([
      undefined,
      'AMOUNT_EXCEEDS_HELD',
      undefined,
      'INSUFFICIENT_FUNDS',
      undefined,
      'PAYMENT_NOT_HELD',
    ]);
    expect(await later(payment)).toEqual([
      'CAPTURE AUTHORIZED',
      'CAPTURE DECLINED',
      'VOID AUTHORIZED',
      'CAPTURE DECLINED',
    ]);
  });

  test('that want the same payments and accounts in opposite order do not deadlock', async () => {
    const payments = await holds(30);
    for (let round = 0; round < 5; round++) {
      const captures = (order: readonly Payment[]) =>
        order.map((payment) => captureOf(payment, { requestedCents: 1n, keepRemainder: true }));
      await Promise.all([
        decide(...captures(payments), holdCommand()),
        decide(holdCommand({ payeeAccountId: 'z' }), ...captures(payments.toReversed())),
      ]);
    }
    const [row] = await database.query<{ deadlocks: bigint }>(
      'select deadlocks from pg_stat_database where datname = current_database()',
    );
    expect(row!.deadlocks).toBe(0n);
  });
});

test('payments are locked in the order of their ids, and before accounts', async () => {
  const [lowest, middle, highest] = (await holds(3)) as [Payment, Payment, Payment];
  const all = [lowest, middle, highest].map(({ paymentId }) => ulidToUuid(paymentId));
  const backwards = () => [highest, middle, lowest].map((payment) => captureOf(payment, { keepRemainder: true }));
  const free = async () => {
    const payments = await database.query<{ payment_id: string }>(
      `select payment_id from payment_balances where payment_id = any($1) order by payment_id for update skip locked`,
      [all],
    );
    const accounts = await database.query(
      `select from account_balances where account_id in ('world', 'shop') for update skip locked`,
    );
    return { payments: payments.map(({ payment_id }) => all.indexOf(payment_id)), accounts: accounts.length };
  };
  for (const [locked, others] of [
    [lowest, [1, 2]],
    [middle, [2]],
    [highest, []],
  ] as const) {
    let deciding: Promise<Outcome[]> | undefined;
    await whileLocked(locked, async () => {
      deciding = decide(...backwards());
      await expect.poll(waitingForLock).toBe(1n);
      expect(await free()).toEqual({ payments: others, accounts: 2 });
    });
    await deciding;
  }
});

/** How many transactions of the code under test wait for a lock. */
async function waitingForLock(): Promise<bigint> {
  const [row] = await database.query<{ count: bigint }>(
    `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  );
  return row!.count;
}

describe('a hold whose time is over', () => {
  test('expires first and the capture is declined, in one transaction, and the events say so in this order', async () => {
    const [payment] = (await holds(1, { ttlMs: 1 })) as [Payment];
    const outcomes = await decide(captureOf(payment), voidOf(payment));
    expect(outcomes.map(code)).toEqual(['PAYMENT_EXPIRED', 'PAYMENT_NOT_HELD']);
    expect(await later(payment)).toEqual(['EXPIRY AUTHORIZED', 'CAPTURE DECLINED', 'VOID DECLINED']);
    const created = await database.query(
      `select distinct created_at, xmin from payments where parent_id = '${ulidToUuid(payment.paymentId)}'`,
    );
    expect(created).toHaveLength(1);
  });

  test('is captured until then', async () => {
    const [payment] = (await holds(1)) as [Payment];
    expect((await decide({ kind: 'EXPIRY', payment, expiryId: newId() }))[0]).toEqual({ kind: 'NOTHING' });
    expect((await decide(captureOf(payment))).map(code)).toEqual([undefined]);
    expect((await decide({ kind: 'EXPIRY', payment, expiryId: newId() }))[0]).toEqual({ kind: 'NOTHING' });
  });

  const outages: unknown[] = [];
  const sweeper = () =>
    new ExpirySweeper(groupCommit(), postgresLedger(pool), newId, {
      expired: () => undefined,
      outage: { failed: (error) => void outages.push(error), succeeded: () => undefined },
    });

  test('is released by one of several sweepers, however many there are', async () => {
    const payments = await holds(600, { ttlMs: 1 });
    const sweeps = await Promise.all([sweeper().runOnce(), sweeper().runOnce()]);
    expect(sweeps.map(({ failure }) => failure)).toEqual([undefined, undefined]);
    expect(sweeps[0]!.expired + sweeps[1]!.expired).toBe(payments.length);
    for (const payment of [payments[0]!, payments.at(-1)!]) expect(await later(payment)).toEqual(['EXPIRY AUTHORIZED']);
    expect(await database.query('select from payment_balances where open and expires_at < now()')).toEqual([]);
  });

  test('and that is locked keeps no other waiting, and is released once it can be', async () => {
    const [stuck] = (await holds(1, { ttlMs: 1 })) as [Payment];
    const others = await holds(300, { ttlMs: 2 });
    const sweeping = sweeper();
    await whileLocked(stuck, async () => {
      const sweep = await sweeping.runOnce();
      expect(sweep).toMatchObject({ expired: others.length, failure: { problem: { kind: 'UNAVAILABLE' } } });
    });
    expect(await sweeping.runOnce()).toEqual({ expired: 0, failure: undefined });
    expect(await sweeping.runAgain()).toEqual({ expired: 1, failure: undefined });
  });

  test('is looked for every second, until the sweeper is stopped', async () => {
    const [payment] = (await holds(1, { ttlMs: 1 })) as [Payment];
    const running = sweeper();
    running.start();
    await expect.poll(() => later(payment)).toEqual(['EXPIRY AUTHORIZED']);
    await running.stop();
    const [after] = (await holds(1, { ttlMs: 1 })) as [Payment];
    await running.stop();
    expect(await later(after)).toEqual([]);
    expect(outages).toEqual([]);
    await sweeper().runOnce();
  });
});

async function whileLocked({ paymentId }: Payment, check: () => Promise<void>): Promise<void> {
  const holder = await database.pool.connect();
  try {
    await holder.query('begin');
    await holder.query('select from payment_balances where payment_id = $1 for update', [ulidToUuid(paymentId)]);
    await check();
  } finally {
    await holder.query('rollback');
    holder.release();
  }
}

test('a payment whose lock is not given back: its captures are UNAVAILABLE, others wait once at most', async () => {
  const [stuck, busy] = (await holds(2, { amountCents: 1_000n })) as [Payment, Payment];
  const transaction = paymentTransaction(unitOfWork, { committed: () => undefined });
  const contended: unknown[] = [];
  const group = new GroupCommit<PaymentCommand, Outcome>(
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
  const part = { requestedCents: 1n, keepRemainder: true };
  await whileLocked(stuck, async () => {
    const batch = [
      holdCommand(),
      captureOf(busy, part),
      captureOf(stuck, part),
      ...Array.from({ length: 40 }, () => holdCommand()),
    ];
    const results = await Promise.allSettled(batch.map((each) => group.submit(each, present)));
    expect(results.map(({ status }) => status)).toEqual(batch.map((_, n) => (n === 2 ? 'rejected' : 'fulfilled')));
    expect(results[2]).toMatchObject({ reason: { problem: { kind: 'UNAVAILABLE' } } });

    contended.length = 0;
    const waiting = group.submit(voidOf(stuck), present).catch((error: unknown) => error);
    await Promise.all(Array.from({ length: 40 }, () => group.submit(captureOf(busy, part), present)));
    expect(await waiting).toMatchObject({ problem: { kind: 'UNAVAILABLE' } });
    expect(contended).toEqual([]);
  });
  expect(await group.submit(voidOf(stuck), present)).toMatchObject({ kind: 'DECIDED', balance: { heldCents: 0n } });
});

describe('a connection lost after COMMIT was sent', () => {
  test.each([
    ['a hold', async () => holdCommand()],
    ['a capture', async () => captureOf((await holds(1))[0]!)],
    ['a capture that finds the time over', async () => captureOf((await holds(1, { ttlMs: 1 }))[0]!)],
    ['a void', async () => voidOf((await holds(1))[0]!)],
  ])('of %s: done once, and its caller hears of it as of the first', async (_case, make) => {
    const command = await make();
    const before = proxy.cut;
    proxy.cutCommits = 2;
    const outcome = await groupCommit().submit(command, present);
    expect(proxy.cut - before).toBe(2);
    expect(outcome).toMatchObject({ kind: 'DECIDED', action: { actionId: command.actionId } });
    const { paymentId, kind } = (outcome as { action: Action }).action;
    const rows = await database.query(`select from payments where kind = $2 and coalesce(parent_id, payment_id) = $1`, [
      ulidToUuid(paymentId),
      kind,
    ]);
    expect(rows).toHaveLength(1);
  });
});
