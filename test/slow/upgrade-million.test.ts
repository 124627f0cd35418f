import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { credentials } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { createDatabase, dropDatabases } from '../../bench/database.ts';
import { accountName } from '../../bench/load/accounts.ts';
import { ulidToUuid } from '../../src/app/ulid.ts';
import { LedgerClient } from '../../tools/client.ts';
import { freePorts } from '../../tools/stack/free-port.ts';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { auditBooks } from '../support/books.ts';
import { runLedger } from '../support/command-line.ts';
import { openDatabase, type TestDatabase } from '../support/database.ts';
import { type EarlierVersion, earlierVersion } from '../support/earlier-version.ts';
import { type KeptLock, watchLocks } from '../support/lock-watch.ts';
import { shown } from '../support/metrics.ts';
import { type MixedCalls, startMixedCalls } from '../support/mixed-calls.ts';
import { type Service, startApi } from '../support/processes.ts';
import { retryingCalls } from '../support/retrying-calls.ts';
import { until } from '../support/traffic.ts';

// Large books of an earlier version are migrated while it works on them, with somebody's
// report in the way, and go on under both versions.
const STARTS = [
  { name: 'payments only', without: '0006_payment_references.sql', lists: false },
  { name: 'lists and changes of accounts', without: '0011_payment_balances.sql', lists: true },
];
const earlier = await Promise.all(STARTS.map(({ without }) => earlierVersion(without)));
const missing = earlier.find((each) => typeof each === 'string');
if (missing !== undefined) console.warn(`SKIPPED: the upgrade of large books was not tried: ${missing}`);

const PAYMENTS = 1_000_000;
const ACCOUNTS = 2_000;
/** Generous, for busy machines: the report alone would have kept payments waiting far longer. */
const LONGEST_WAIT_MS = 1_000;
const FILLED = `million_${process.pid}`;

describe.skipIf(missing !== undefined)('the upgrade of large books under load', () => {
  beforeAll(async () => {
    const filled = await createDatabase(inject('databaseUrl'), FILLED, { empty: true });
    await migrateBy(earlier[0] as EarlierVersion, filled.url);
    // Likewise by its own code, as today's writes columns that are yet to come.
    const { openAccounts, addPayments } = await import(`${(earlier[0] as EarlierVersion).folder}/bench/fill.ts`);
    await openAccounts(filled, ACCOUNTS);
    await addPayments(filled, ACCOUNTS, PAYMENTS, () => undefined);
    await filled.close();
  }, 600_000);
  afterAll(async () => {
    await dropDatabases(inject('databaseUrl'), [FILLED]);
    for (const each of earlier) if (typeof each !== 'string') await rm(each.folder, { recursive: true });
  });

  describe.each(STARTS)('from a version with $name', ({ without, lists }) => {
    const before = earlier[STARTS.findIndex((start) => start.without === without)] as EarlierVersion;
    const name = `${FILLED}_${before.migrations}`;
    let database: TestDatabase;
    let env: Record<string, string>;
    let ports: number[];
    let replicas: Service[] = [];
    let client: LedgerClient;
    let calls: MixedCalls;

    beforeAll(async () => {
      const copy = await createDatabase(inject('databaseUrl'), name, {
        empty: true,
        template: { name: FILLED } as Awaited<ReturnType<typeof createDatabase>>,
      });
      await copy.close();
      database = openDatabase(copy.url);
      await migrateBy(before, database.url);
      env = {
        DATABASE_URL: applicationAddress(database.url),
        REDIS_URL: inject('redisUrl'),
        KAFKA_BROKERS: inject('kafkaBrokers'),
        RATE_LIMIT_CAPACITY: '1000000',
        RATE_LIMIT_REFILL_PER_SECOND: '1000000',
        SHUTDOWN_GRACE_MS: '60000',
      };
      ports = await freePorts(4);
      replicas = await Promise.all(ports.slice(0, 2).map((port) => start(port, before.folder)));
      client = new LedgerClient(
        `ipv4:${ports.map((port) => `127.0.0.1:${port}`).join(',')}`,
        credentials.createInsecure(),
        undefined,
        // Half of the addresses have nobody yet.
        { ...retryingCalls('round_robin'), 'grpc.max_reconnect_backoff_ms': 1_000 },
      );
    }, 600_000);
    afterAll(async () => {
      await calls?.stop();
      client?.close();
      await Promise.all(replicas.map((each) => each.stop()));
      await database?.close();
      await dropDatabases(inject('databaseUrl'), [name]);
    });

    const start = (port: number, folder?: string) => startApi({ ...env, GRPC_PORT: String(port) }, folder);

    async function untilAllPay(): Promise<void> {
      for (const { ready } of replicas) {
        const paid = async () =>
          Object.values(await shown(String(ready['metricsAddress']), 'payment_ledger_payments_total')).reduce(
            (sum, n) => sum + n,
            0,
          );
        const had = await paid();
        await until(async () => (await paid()) >= had + 20, 'payments on each replica');
      }
    }

    test('no call fails, nobody waits long for a lock, and the books agree', async () => {
      const accounts = Array.from({ length: 200 }, (_, n) => accountName(n));
      calls = startMixedCalls(client, accounts, { callers: 12, restMs: 20, lists });
      await calls.untilMade(500);
      const beforeMs = calls.takeSlowestMs();

      const { kept, longestGapMs } = await migrateBesideReport(database.url, () => calls.untilMade(200));
      await calls.untilMade(500);
      const migratingMs = calls.takeSlowestMs();

      replicas.push(...(await Promise.all(ports.slice(2).map((port) => start(port)))));
      await untilAllPay();
      await calls.untilMade(1_000);
      for (const _ of [1, 2]) {
        expect(await replicas.shift()!.stop()).toBe(0);
        await calls.untilMade(200);
      }
      const actions = await holdAndRefund(client, accounts);
      await calls.stop();
      const replacingMs = calls.takeSlowestMs();

      console.log(
        `from ${before.commit.slice(0, 7)} with ${before.migrations} migrations: ${calls.made} calls; the slowest ` +
          `took ${beforeMs} ms before, ${migratingMs} ms while migrating, ${replacingMs} ms while replicas were replaced; locks were looked at every 2 ms, once only after ${Math.round(longestGapMs)} ms`,
      );
      console.table(kept.map(asRow));
      expect(calls.failed).toEqual([]);
      expect(kept.filter(({ table }) => table === 'payments').length).toBeGreaterThan(0);
      expect(kept.filter(({ othersWaitedMs }) => othersWaitedMs > LONGEST_WAIT_MS)).toEqual([]);

      const answered = [...calls.authorized, ...calls.declined, ...actions].map(ulidToUuid).sort();
      const events = await database.query<{ id: string }>(
        "select id from outbox where aggregatetype = 'payment' order by id",
      );
      expect(events.map(({ id }) => id)).toEqual(answered);
      const stored = PAYMENTS + ACCOUNTS + answered.length;
      expect(await database.query('select count(*)::int as n from payments')).toEqual([{ n: stored }]);
      expect(await auditBooks(database)).toEqual([]);
      const verified = await runLedger(['verify', '--json'], { DATABASE_URL: database.url });
      expect(JSON.parse(verified.stdout).books).toMatchObject({
        balance: true,
        paymentsExamined: stored,
        problems: [],
      });
    });
  });
});

/** By the version's own code: what it grants rights on is what it has. */
async function migrateBy({ folder }: EarlierVersion, url: string): Promise<void> {
  const { migrate } = await import(`${folder}/src/cli/migrate.ts`);
  await migrate(url);
}

/** As an operator migrates; a session reads payments until the migration has said that it waits for it, and some calls more. */
async function migrateBesideReport(
  url: string,
  callsMade: () => Promise<void>,
): Promise<{ kept: KeptLock[]; longestGapMs: number }> {
  const report = new pg.Client({ connectionString: url, application_name: 'report' });
  await report.connect();
  await report.query('begin');
  await report.query('select from payments limit 1');
  const locks = await watchLocks(url, inject('databaseUrl'), 'payment-ledger-migrate');
  const said: string[] = [];
  const child = spawn(process.execPath, ['src/cli/main.ts', 'migrate'], {
    env: { PATH: process.env['PATH'], DATABASE_URL: url },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', (line) => said.push(line));
  const ended = once(child, 'exit');
  const waits = async () => child.exitCode !== null || said.some((line) => line.includes('(report of ledger'));
  await until(waits, 'the migration waits for the report');
  await callsMade();
  await report.end();
  const [code] = await ended;
  expect(code, said.join('\n')).toBe(0);
  return locks.stop();
}

/** Begun once all replicas are new; the ids of all actions. */
async function holdAndRefund(client: LedgerClient, accounts: readonly string[]): Promise<string[]> {
  const made = await Promise.all(
    accounts.slice(0, 50).map(async (payer, n) => {
      const hold = await client.hold({
        payerAccountId: payer,
        payeeAccountId: accounts[n + 1]!,
        amountCents: 100n,
        currency: 'EUR',
      });
      const id = hold.payment!.paymentId;
      // A fifth stay open.
      if (n % 5 === 0) return [id];
      if (n % 5 === 1) return [id, (await client.void(id)).action!.actionId];
      const capture = await client.capture(id, { amountCents: 60n, keepRemainder: n % 5 === 2 });
      const refund = await client.refund(id, { amountCents: 10n });
      return [id, capture.action!.actionId, refund.action!.actionId];
    }),
  );
  return made.flat();
}

const FILES = readdirSync('migrations').map((file) => ({ file, sql: readFileSync(`migrations/${file}`, 'utf8') }));

function asRow({ query, table, mode, queuedMs, heldMs, othersWaitedMs }: KeptLock) {
  const statement = query.trim().slice(0, 500);
  // A file's lock may be seen first at its commit, which is in no file.
  const isOf = (sql: string) => statement.length > 20 && sql.includes(statement);
  const file = FILES.find(({ sql }) => isOf(sql.replaceAll(/^--.*$/gm, '')) || isOf(sql))?.file;
  return {
    migration: file ?? statement.slice(0, 40),
    table,
    mode,
    'queued ms': Math.round(queuedMs),
    'held ms': Math.round(heldMs),
    'others waited ms': Math.round(othersWaitedMs),
  };
}
