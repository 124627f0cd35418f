import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { LedgerClient } from '../../tools/client.ts';
import { consumeEvents } from '../../tools/events.ts';
import { freePorts } from '../../tools/stack/free-port.ts';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { auditBooks } from '../support/books.ts';
import { openDatabase, type TestDatabase } from '../support/database.ts';
import { earlierVersion } from '../support/earlier-version.ts';
import { createEmptyDatabase, execute } from '../support/empty-database.ts';
import { shown } from '../support/metrics.ts';
import { disorder } from '../support/order.ts';
import { type Service, startApi, startRelay } from '../support/processes.ts';
import { retryingCalls } from '../support/retrying-calls.ts';
import { failureKinds, startTraffic, type Traffic, until } from '../support/traffic.ts';
import { verifyEvents } from '../support/verify.ts';

const earlier = await earlierVersion();
if (typeof earlier === 'string') console.warn(`SKIPPED: two versions side by side were not tried: ${earlier}`);

const ACCOUNTS = ['a', 'b', 'c', 'd'];
const DATABASE = `upgrade_${process.pid}`;
const TODAY = process.cwd();

describe.skipIf(typeof earlier === 'string')('an upgrade under load', () => {
  let earlierFolder: string;
  let database: TestDatabase;
  let env: Record<string, string>;
  let ports: number[];
  let replicas: Service[];
  let workers: Service[];
  /** One, as the next replica may go only once every client is back at the last one. */
  let client: LedgerClient;
  let traffic: Traffic;
  const topic = `payment.events.upgrade.${process.pid}`;

  const migrate = (folder: string) =>
    promisify(execFile)(process.execPath, ['src/cli/main.ts', 'migrate'], {
      cwd: folder,
      env: { PATH: process.env['PATH'], DATABASE_URL: database.url },
    });

  beforeAll(async () => {
    if (typeof earlier === 'string') throw new Error(earlier);
    earlierFolder = earlier.folder;
    database = openDatabase(await createEmptyDatabase(inject('databaseUrl'), DATABASE));
    await migrate(earlierFolder);
    env = {
      DATABASE_URL: applicationAddress(database.url),
      REDIS_URL: inject('redisUrl'),
      KAFKA_BROKERS: inject('kafkaBrokers'),
      KAFKA_TOPIC: topic,
      RATE_LIMIT_CAPACITY: '1000000',
      RATE_LIMIT_REFILL_PER_SECOND: '1000000',
      // On a busy machine a call in flight may take longer than the ten seconds that a replica gives it.
      SHUTDOWN_GRACE_MS: '60000',
    };
    ports = await freePorts(2);
    replicas = await Promise.all(ports.map((port) => startApi({ ...env, GRPC_PORT: String(port) }, earlierFolder)));
    workers = await Promise.all([0, 1].map(() => startRelay(env, earlierFolder)));
    const target = `ipv4:${ports.map((port) => `127.0.0.1:${port}`).join(',')}`;
    client = new LedgerClient(target, credentials.createInsecure(), undefined, retryingCalls('round_robin'));
    for (const account of ACCOUNTS) await client.openFunded(account, 1_000_000n);
  }, 300_000);
  afterAll(async () => {
    await traffic?.stop();
    client?.close();
    await Promise.all([...(replicas ?? []), ...(workers ?? [])].map((each) => each.stop()));
    await database?.close();
    await execute(inject('databaseUrl'), `drop database if exists ${DATABASE} with (force)`);
    if (earlierFolder !== undefined) await rm(earlierFolder, { recursive: true });
  });

  async function replaceReplica(index: number, folder: string): Promise<void> {
    expect(await replicas[index]!.stop()).toBe(0);
    expect(replicas[index]!.log.filter((line) => line.includes('will be cut off'))).toEqual([]);
    replicas[index] = await startApi({ ...env, GRPC_PORT: String(ports[index]) }, folder);
    // As an orchestrator waits with the next one until clients have come back to this one.
    const metrics = String(replicas[index]!.ready['metricsAddress']);
    const took = async () => Object.keys(await shown(metrics, 'payment_ledger_payments_total')).length > 0;
    await until(took, 'payments on the new replica');
    await traffic.untilPaid(50);
  }

  async function replaceWorker(index: number, folder: string): Promise<void> {
    expect(await workers[index]!.stop()).toBe(0);
    workers[index] = await startRelay(env, folder);
    await traffic.untilPaid(50);
  }

  test('from the schema before to today, there and back: no call fails, and books and events agree', async () => {
    traffic = startTraffic([client], ACCOUNTS);
    await traffic.untilPaid(100);
    // The old code goes on beside the new schema, and starts on it too, as a rollback needs.
    await migrate(TODAY);
    await traffic.untilPaid(100);
    await replaceReplica(0, TODAY);
    await replaceWorker(0, TODAY);
    await replaceReplica(0, earlierFolder);
    await replaceReplica(0, TODAY);
    await replaceReplica(1, TODAY);
    await replaceWorker(1, TODAY);
    await traffic.stop();

    expect(failureKinds(traffic.failed)).toEqual([]);
    const pending = () => database.query('select from outbox limit 1');
    await until(async () => (await pending()).length === 0, 'an empty outbox');
    const stored = traffic.paid.length + ACCOUNTS.length;
    expect(await database.query('select count(*)::int as n from payments')).toEqual([{ n: stored }]);
    expect(await auditBooks(database)).toEqual([]);
    const consumer = await consumeEvents(inject('kafkaBrokers'), topic);
    await consumer.until((events) => new Set(events.map(({ eventId }) => eventId)).size >= stored);
    expect(disorder(consumer.events)).toEqual([]);
    await consumer.close();
    const { DATABASE_URL, KAFKA_BROKERS } = env as { DATABASE_URL: string; KAFKA_BROKERS: string };
    const verified = await verifyEvents({ DATABASE_URL, KAFKA_BROKERS, KAFKA_TOPIC: topic });
    expect(verified.code, verified.output).toBe(0);
    console.log(`${stored} payments while versions changed, none failed`);
  }, 400_000);
});
