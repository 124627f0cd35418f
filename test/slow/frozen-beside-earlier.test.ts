import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { reconcile } from '../../src/app/reconciliation/books.ts';
import { migrate } from '../../src/cli/migrate.ts';
import { PaymentErrorCode, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import { LedgerClient } from '../../tools/client.ts';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { auditBooks } from '../support/books.ts';
import { openDatabase, type TestDatabase } from '../support/database.ts';
import { earlierVersion } from '../support/earlier-version.ts';
import { createEmptyDatabase, execute } from '../support/empty-database.ts';
import { type Service, startApi } from '../support/processes.ts';
import { rejection } from '../support/rejection.ts';

// What docs/accounts.md says of an upgrade: a replica that knows of no frozen or closed
// accounts, beside one that does.
const earlier = await earlierVersion('0009_account_changes.sql');
if (typeof earlier === 'string') console.warn(`SKIPPED: frozen accounts beside an earlier version: ${earlier}`);

const DATABASE = `frozen_${process.pid}`;

describe.skipIf(typeof earlier === 'string')('a replica of before accounts could be frozen', () => {
  let earlierFolder: string;
  let database: TestDatabase;
  let services: Service[] = [];
  let before: LedgerClient;
  let today: LedgerClient;
  let account: string;
  let other: string;

  beforeAll(async () => {
    if (typeof earlier === 'string') throw new Error(earlier);
    earlierFolder = earlier.folder;
    database = openDatabase(await createEmptyDatabase(inject('databaseUrl'), DATABASE));
    // By the code of then: today's grants rights on columns that are yet to come.
    const { migrate: migrateThen } = await import(`${earlierFolder}/src/cli/migrate.ts`);
    await migrateThen(database.url);
    const env = {
      DATABASE_URL: applicationAddress(database.url),
      REDIS_URL: inject('redisUrl'),
      KAFKA_BROKERS: inject('kafkaBrokers'),
      RATE_LIMIT_CAPACITY: '1000000',
    };
    const old = await startApi(env, earlierFolder);
    before = new LedgerClient(String(old.ready['address']));
    await before.openFunded('before', 1_000n);
    await migrate(database.url);
    const fresh = await startApi(env);
    today = new LedgerClient(String(fresh.ready['address']));
    services = [old, fresh];
  });
  afterAll(async () => {
    before?.close();
    today?.close();
    await Promise.all(services.map((each) => each.stop()));
    await database?.close();
    await execute(inject('databaseUrl'), `drop database if exists ${DATABASE} with (force)`);
    if (earlierFolder !== undefined) await rm(earlierFolder, { recursive: true });
  });

  /** One opened by each version. */
  beforeEach(async () => {
    [account, other] = [randomUUID(), randomUUID()];
    await before.openFunded(account, 1_000n);
    await today.openFunded(other, 1_000n);
  });

  test.each([
    [
      'debits are frozen',
      PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_FROZEN,
      () => today.freeze(account, { debits: true }),
    ],
    [
      'credits are frozen',
      PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_FROZEN,
      () => today.freeze(other, { credits: true }),
    ],
    ['the payee is closed', PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_CLOSED, () => closeOther()],
  ])('%s: its caller gets INTERNAL, nothing is stored, and others pay on', async (_case, code, change) => {
    await change();
    const request = { idempotencyKey: randomUUID(), payerAccountId: account, payeeAccountId: other, amountCents: 1n };
    const neighbours = Array.from({ length: 20 }, (_, n) =>
      before.authorize({ payerAccountId: 'external-RUB', payeeAccountId: 'before', amountCents: BigInt(n + 1) }),
    );
    const refusals = Array.from({ length: 5 }, () =>
      rejection(before.authorize({ ...request, idempotencyKey: randomUUID() })),
    );
    expect((await rejection(before.authorize(request))).code).toBe(status.INTERNAL);
    for (const { status: outcome } of await Promise.all(neighbours)) {
      expect(outcome).toBe(PaymentStatus.PAYMENT_STATUS_AUTHORIZED);
    }
    for (const error of await Promise.all(refusals)) expect(error.code).toBe(status.INTERNAL);
    expect(await database.query('select from payments where payer_account_id = $1', [account])).toEqual([]);
    const decided = await today.authorize(request);
    expect(decided.error?.code).toBe(code);
    // It has no name for the reason of the decline, so it cannot show the payment.
    expect((await rejection(before.authorize(request))).code).toBe(status.INTERNAL);
    expect((await rejection(before.payment(decided.paymentId))).code).toBe(status.INTERNAL);
  });

  async function closeOther(): Promise<void> {
    await today.authorize({ payerAccountId: other, payeeAccountId: 'external-RUB', amountCents: 1_000n });
    await today.closeAccount(other);
  }

  test('it goes by the overdraft limit of today, though it shows that of the opening', async () => {
    const pay = (amountCents: bigint) =>
      before.authorize({ payerAccountId: account, payeeAccountId: other, amountCents });
    await today.updateAccount(account, { overdraftLimitCents: 50n });
    expect((await pay(1_050n)).status).toBe(PaymentStatus.PAYMENT_STATUS_AUTHORIZED);
    expect((await before.account(account))?.overdraftLimitCents).toBe(0n);
    expect((await today.account(account))?.overdraftLimitCents).toBe(50n);
    await today.authorize({ payerAccountId: other, payeeAccountId: account, amountCents: 1_050n });
    await today.updateAccount(account, { overdraftLimitCents: 0n });
    expect((await pay(1_001n)).error?.code).toBe(PaymentErrorCode.PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS);
  });

  test('an account that it opened is changed like any other, from revision 2 on', async () => {
    await today.freeze(account);
    await today.unfreeze(account);
    expect((await before.authorize({ payerAccountId: account, payeeAccountId: other, amountCents: 1n })).status).toBe(
      PaymentStatus.PAYMENT_STATUS_AUTHORIZED,
    );
    const revisions = 'select revision, kind from account_changes where account_id = $1 order by revision';
    expect(await database.query(revisions, [account])).toEqual([
      { revision: 2n, kind: 'FROZEN' },
      { revision: 3n, kind: 'UNFROZEN' },
    ]);
  });

  test('the books are in order after all that', async () => {
    expect(await auditBooks(database)).toEqual([]);
    expect((await reconcile(postgresBooks(database.application))).problems).toEqual([]);
  });
});
