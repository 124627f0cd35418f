import { monotonicFactory } from 'ulid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Admission } from '../../src/app/admission.ts';
import { batchDigest } from '../../src/app/batch-digest.ts';
import type {
  ActionCommand,
  AuthorizeCommand,
  BatchCommand,
  CaptureCommand,
  HoldCommand,
  PaymentCommand,
  RefundCommand,
} from '../../src/app/commands.ts';
import { decidePayments, type Outcome, paymentTransaction } from '../../src/app/decide-payments.ts';
import type { Payment } from '../../src/app/domain/payment.ts';
import { ServiceError } from '../../src/app/errors.ts';
import { ExternalPayers } from '../../src/app/external-payers.ts';
import { GroupCommit } from '../../src/app/group-commit.ts';
import { PaymentBatches } from '../../src/app/payment-batches.ts';
import { ulidToUuid } from '../../src/app/ulid.ts';
import { shardCount } from '../../src/infra/postgres/outbox/shard-count.ts';
import { postgresLedger } from '../../src/infra/postgres/payments/ledger.ts';
import { PostgresUnitOfWork } from '../../src/infra/postgres/payments/unit-of-work.ts';
import { createPool } from '../../src/infra/postgres/pool.ts';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { auditBooks } from '../support/books.ts';
import { type CuttingProxy, startCuttingProxy } from '../support/cutting-proxy.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

// The write path of batches below gRPC, where failures can be placed exactly.
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
  await database.query(`insert into accounts values ('world', 'RUB', 'EXTERNAL', null, now()),
    ('shop', 'RUB', 'CUSTOMER', 0, now()), ('z', 'RUB', 'CUSTOMER', 0, now())`);
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
  return {
    description: '',
    actionId: newId(),
    caller: '',
    idempotencyKey: crypto.randomUUID(),
    mayPayFromExternal: true,
  };
}

const PARTIES = { payerAccountId: 'world', payeeAccountId: 'shop', currency: 'RUB', amountCents: 10n };

function transfer(overrides: Partial<AuthorizeCommand> = {}): AuthorizeCommand {
  return { kind: 'PAYMENT', ...call(), ...PARTIES, ...overrides };
}

function hold(overrides: Partial<HoldCommand> = {}): HoldCommand {
  return { kind: 'HOLD', ...call(), ...PARTIES, ttlMs: 600_000, ...overrides };
}

function captureOf(payment: Payment, overrides: Partial<CaptureCommand> = {}): CaptureCommand {
  const asked = { requestedCents: undefined, keepRemainder: false };
  return { kind: 'CAPTURE', expiryId: newId(), ...call(), payment, ...asked, ...overrides };
}

function refundOf(payment: Payment): RefundCommand {
  return { kind: 'REFUND', expiryId: newId(), ...call(), payment, requestedCents: undefined };
}

/** A batch as the service makes it of its items. */
function batchOf(items: readonly ActionCommand[], idempotencyKey: string = crypto.randomUUID()): BatchCommand {
  const actionId = items[0]!.actionId;
  const digest = batchDigest(items);
  const whole = { digest, actionIds: items.map((item) => item.actionId) };
  const batched = items.map((item, index) => ({
    ...item,
    idempotencyKey,
    batch: { batchId: actionId, item: index, whole: index === 0 ? whole : undefined },
  }));
  return { kind: 'BATCH', caller: '', idempotencyKey, actionId, items: batched, digest };
}

function decide(...commands: PaymentCommand[]): Promise<Outcome[]> {
  return decidePayments(unitOfWork, commands, new Date(), PATIENT);
}

async function decided(command: ActionCommand): Promise<Payment> {
  const [outcome] = await decide(command);
  return outcome!.action as Payment;
}

function groupCommit(maxBatch = 100) {
  const transactions: number[][] = [];
  const transaction = paymentTransaction(unitOfWork, { committed: () => undefined });
  const counted = {
    ...transaction,
    execute: (commands: readonly PaymentCommand[], limits: Parameters<typeof transaction.execute>[1]) => {
      transactions.push(commands.map((command) => transaction.weightOf!(command)));
      return transaction.execute(commands, limits);
    },
  };
  return { transactions, group: new GroupCommit(counted, { maxBatch, maxQueue: 1_000 }) };
}

/** The rows of a batch, by their items. */
const rowsOf = ({ actionId }: BatchCommand) =>
  database.query<{ kind: string; status: string; batch_item: number }>(
    'select kind, status, batch_item from payments where batch_id = $1 order by batch_item',
    [ulidToUuid(actionId)],
  );

const balanceOf = async (accountId: string) => {
  const [row] = await database.query<{ available_cents: bigint }>(
    'select available_cents from account_balances where account_id = $1',
    [accountId],
  );
  return row!.available_cents;
};

describe('in one transaction with others', () => {
  test('a batch is decided in its place, and one that is declined leaves nothing to those after it', async () => {
    const before = await balanceOf('z');
    const ofShop = { payerAccountId: 'shop', payeeAccountId: 'z' };
    const funds = await balanceOf('shop');
    const outcomes = await decide(
      transfer({ amountCents: 5n }),
      // Would leave the shop with nothing, were its last item not declined.
      batchOf([transfer({ ...ofShop, amountCents: funds + 5n }), transfer({ ...ofShop, amountCents: 1n })]),
      batchOf([transfer({ amountCents: 1n }), transfer({ ...ofShop, amountCents: funds + 6n })]),
      transfer({ ...ofShop, amountCents: 1n }),
    );
    expect(outcomes.map(({ action }) => action!.verdict.status)).toEqual([
      'AUTHORIZED',
      'DECLINED',
      'AUTHORIZED',
      'DECLINED',
    ]);
    expect(outcomes[1]!.action).toMatchObject({ batch: { item: 1 } });
    expect(await balanceOf('shop')).toBe(0n);
    expect(await balanceOf('z')).toBe(before + funds + 6n);
  });

  test('of two batches with one key the first is decided, and the other is its replay or tells what differs', async () => {
    const items = () => [transfer(), transfer({ amountCents: 11n })];
    const key = crypto.randomUUID();
    const [first, second, third, fourth] = [
      batchOf(items(), key),
      batchOf(items(), key),
      batchOf(items().toReversed(), key),
      transfer({ idempotencyKey: key }),
    ];
    const outcomes = await decide(first!, second!, third!, fourth!);
    expect(outcomes.map(({ kind }) => kind)).toEqual(['DECIDED', 'DUPLICATE', 'KEY_REUSED', 'KEY_REUSED']);
    expect(outcomes[1]!.action).toEqual(outcomes[0]!.action);
    expect(outcomes.slice(2)).toMatchObject([{ differing: ['items'] }, { differing: ['method'] }]);
    const later = await decide(batchOf(items(), key), transfer({ idempotencyKey: key }));
    expect(later).toMatchObject([{ kind: 'DUPLICATE' }, { kind: 'KEY_REUSED', differing: ['method'] }]);
    expect(await rowsOf(first!)).toHaveLength(2);
  });

  test('of a payment and a batch with one key the payment is made, and the batch tells the method', async () => {
    const key = crypto.randomUUID();
    const outcomes = await decide(transfer({ idempotencyKey: key }), batchOf([transfer()], key));
    expect(outcomes).toMatchObject([{ kind: 'DECIDED' }, { kind: 'KEY_REUSED', differing: ['method'] }]);
  });

  test('it counts as its items, and is never split', async () => {
    const { group, transactions } = groupCommit(10);
    const small = () => batchOf([transfer(), transfer(), transfer(), transfer()]);
    const large = batchOf(Array.from({ length: 25 }, () => transfer()));
    const commands = [transfer(), small(), small(), small(), large, transfer(), transfer()];
    const outcomes = await Promise.all(commands.map((command) => group.submit(command, present)));
    expect(outcomes.map(({ kind }) => kind)).toEqual(commands.map(() => 'DECIDED'));
    expect(transactions).toEqual([[1], [4, 4], [4], [25], [1, 1]]);
    expect(await rowsOf(large)).toHaveLength(25);
  });

  test('one that Postgres rejects fails alone and whole, and those beside it are decided', async () => {
    const { group } = groupCommit();
    const payment = await decided(hold());
    // Its first item would be written, had it been alone; the id of its second is taken.
    const bad = batchOf([transfer(), { ...transfer(), actionId: payment.actionId }, transfer()]);
    const good = batchOf([transfer(), captureOf(payment)]);
    const first = group.submit(transfer(), present);
    const results = await Promise.allSettled([
      first,
      ...[transfer(), bad, good].map((each) => group.submit(each, present)),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(await rowsOf(bad)).toEqual([]);
    expect(await rowsOf(good)).toHaveLength(2);
    const taken = await database.query('select from idempotency_keys where key = $1', [bad.idempotencyKey]);
    expect(taken).toEqual([]);
  });
});

describe('locks', () => {
  test('are all named: accounts, payments and the one key', async () => {
    const [held, paid] = [await decided(hold()), await decided(transfer())];
    const command = batchOf([
      captureOf(held),
      refundOf(paid),
      transfer({ payerAccountId: 'shop', payeeAccountId: 'z' }),
    ]);
    const { locksOf } = paymentTransaction(unitOfWork, { committed: () => undefined });
    expect(new Set(locksOf(command).map(({ name }) => name))).toEqual(
      new Set([
        'account world',
        'account shop',
        'account z',
        `payment ${held.paymentId}`,
        `payment ${paid.paymentId}`,
        `key 0:${command.idempotencyKey}`,
      ]),
    );
  });

  test('a batch that needs one which is not given back is UNAVAILABLE, and others go on', async () => {
    const { group } = groupCommit();
    const stuck = await decided(hold());
    const holder = await database.pool.connect();
    try {
      await holder.query('begin');
      await holder.query('select from payment_balances where payment_id = $1 for update', [
        ulidToUuid(stuck.paymentId),
      ]);
      const results = await Promise.allSettled(
        [batchOf([transfer(), captureOf(stuck)]), batchOf([transfer(), transfer()]), transfer()].map((command) =>
          group.submit(command, present),
        ),
      );
      expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
      expect(results[0]).toMatchObject({ reason: { problem: { kind: 'UNAVAILABLE' } } });
    } finally {
      await holder.query('rollback');
      holder.release();
    }
    expect(await group.submit(batchOf([captureOf(stuck)]), present)).toMatchObject({ kind: 'DECIDED' });
  });

  test('batches that want the same keys, payments and accounts in opposite order do not deadlock', async () => {
    const payments = await Promise.all(Array.from({ length: 20 }, () => decided(hold())));
    for (let round = 0; round < 5; round++) {
      const captures = (order: readonly Payment[]) =>
        batchOf(order.map((payment) => captureOf(payment, { requestedCents: 1n, keepRemainder: true })));
      const key = crypto.randomUUID();
      await Promise.all([
        decide(captures(payments), batchOf([transfer(), transfer({ payeeAccountId: 'z' })], key)),
        decide(batchOf([transfer({ payeeAccountId: 'z' }), transfer()], key), captures(payments.toReversed())),
      ]);
    }
    const [row] = await database.query<{ deadlocks: bigint }>(
      'select deadlocks from pg_stat_database where datname = current_database()',
    );
    expect(row!.deadlocks).toBe(0n);
  });
});

describe('a hold whose time is over', () => {
  test('expires before the batch is decided, in the same transaction, taken or declined', async () => {
    const over = await decided(hold({ ttlMs: 1 }));
    const declined = batchOf([transfer(), captureOf(over), captureOf(over)]);
    const [outcome] = await decide(declined);
    expect(outcome!.action).toMatchObject({
      verdict: { decline: { code: 'PAYMENT_EXPIRED' } },
      actionId: declined.actionId,
      batch: { item: 1 },
    });
    const rows = await database.query<{ what: string }>(
      `select kind || ' ' || status as what from payments join outbox on outbox.id = payment_id
       where parent_id = $1 order by position`,
      [ulidToUuid(over.paymentId)],
    );
    expect(rows.map(({ what }) => what)).toEqual(['EXPIRY AUTHORIZED', 'CAPTURE DECLINED']);
    const moments = await database.query('select distinct created_at, xmin from payments where parent_id = $1', [
      ulidToUuid(over.paymentId),
    ]);
    expect(moments).toHaveLength(1);
    expect(await rowsOf(declined)).toHaveLength(1);
  });

  test('is refunded by a batch of what was captured, and the rest expires', async () => {
    const over = await decided(hold({ ttlMs: 150 }));
    await decide(captureOf(over, { requestedCents: 4n, keepRemainder: true }));
    await new Promise((resume) => setTimeout(resume, over.expiresAt!.getTime() - Date.now() + 5));
    const [outcome] = await decide(batchOf([refundOf(over)]));
    expect(outcome).toMatchObject({
      balance: { heldCents: 0n, releasedCents: 6n, capturedCents: 4n, refundedCents: 4n },
    });
  });
});

describe('a connection lost after COMMIT was sent', () => {
  test.each([
    ['that is taken', async () => batchOf([transfer(), hold(), captureOf(await decided(hold()))])],
    ['that begins with a capture', async () => batchOf([captureOf(await decided(hold())), transfer()])],
    ['of refunds', async () => batchOf([refundOf(await decided(transfer()))])],
    ['that is declined', async () => batchOf([transfer(), transfer({ payeeAccountId: 'nobody' })])],
    ['that is declined by a capture', async () => batchOf([transfer(), captureOf(await decided(transfer()))])],
  ])('of a batch %s: done once, and its caller hears of it as of the first', async (_case, make) => {
    const command = await make();
    const before = proxy.cut;
    proxy.cutCommits = 2;
    const outcome = await groupCommit().group.submit(command, present);
    expect(proxy.cut - before).toBe(2);
    expect(outcome).toMatchObject({ kind: 'DECIDED', action: { actionId: command.actionId } });
    const declined = (outcome as { action: Payment }).action.verdict.status === 'DECLINED';
    expect(await rowsOf(command)).toHaveLength(declined ? 1 : command.items.length);

    const found = await postgresLedger(pool).findBatch(command.actionId);
    expect(found.map(({ action }) => action.actionId)).toEqual(
      declined ? [] : command.items.map(({ actionId }) => actionId),
    );
  });

  test('the batch is not OVERLOADED, which would say that nothing was stored, however many look things up', async () => {
    const limiter = { take: async () => 0, takeAll: async () => undefined };
    const full = new Admission({ maxInFlight: 0, maxQueue: 0 });
    const batches = new PaymentBatches(
      groupCommit().group,
      limiter,
      postgresLedger(pool),
      full,
      newId,
      new ExternalPayers(),
    );
    const items = [transfer(), hold()].map((request, index) => ({ field: `items[${index}]`, request }));
    const request = { caller: '', idempotencyKey: crypto.randomUUID(), items };
    proxy.cutCommits = 1;
    const asked = { abandoned: present, deadlineMs: Number.POSITIVE_INFINITY };
    const batch = await batches.execute(request, asked);
    expect(batch).toMatchObject({
      kind: 'DECIDED',
      items: [{ action: { kind: 'PAYMENT' } }, { action: { kind: 'HOLD' } }],
    });
    // Nor where all connections for reads are busy.
    const busy = new ServiceError({ kind: 'OVERLOADED', retryAfterMs: 1_000 }, 'All connections are busy.');
    const ledger = { ...postgresLedger(pool), findBatch: () => Promise.reject(busy) };
    const others = new PaymentBatches(groupCommit().group, limiter, ledger, full, newId, new ExternalPayers());
    proxy.cutCommits = 1;
    const again = others.execute({ ...request, idempotencyKey: crypto.randomUUID() }, asked);
    await expect(again).rejects.toMatchObject({ problem: { kind: 'UNAVAILABLE' } });
    // Of a replay it says nothing new.
    await expect(batches.execute(request, asked)).rejects.toMatchObject({ problem: { kind: 'OVERLOADED' } });
  });
});
