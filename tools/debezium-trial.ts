import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Metadata } from '@grpc/grpc-js';
import { Kafka, logLevel } from 'kafkajs';
import pg from 'pg';
import { withAdmin } from '../src/infra/kafka/client.ts';
import { postgresOutbox } from '../src/infra/postgres/outbox/outbox.ts';
import { createPool } from '../src/infra/postgres/pool.ts';
import type { PendingEvent } from '../src/relay/ports.ts';
import { LedgerClient } from './client.ts';
import { differences } from './debezium/compare.ts';
import { connectJars, startConnect } from './debezium/connect.ts';
import { consumeEvents, type EventConsumer } from './events.ts';
import { untilInterrupted } from './interrupt.ts';
import { cacheFolder } from './stack/cache.ts';
import { onFreePorts } from './stack/free-port.ts';
import type { Server } from './stack/server.ts';
import { removeData, type Stack, startStack } from './stack/stack.ts';
import { startSystem } from './system.ts';

const HELP = `npm run debezium-trial: lets Kafka Connect with Debezium read the outbox, configured by
deploy/debezium, instead of the relay: pays through the API, kills Connect on the way, and
compares every record with the one that the relay would have sent. Fetches 40 MB on first
use; takes a minute. Ends with 0 if nothing was lost, orphaned or out of order, with 1 otherwise.`;

const ROOT = join(import.meta.dirname, '..');
const FOLDER = join(ROOT, '.local/debezium-trial');
const TOPIC = 'payment.events.v1';
const SHARDS = 16;
const ACCOUNTS = Array.from({ length: 20 }, (_, index) => `acc-${index}`);
const say = (message: string) => console.log(`· ${message}`);

/** Pays from every account in turn; some payments are declined, some calls are traced. */
async function pay(client: LedgerClient, count: number, atOnce = 8): Promise<void> {
  let next = 0;
  const payer = async () => {
    for (let i = next++; i < count; i = next++) {
      const request = {
        idempotencyKey: crypto.randomUUID(),
        payerAccountId: i % 50 === 49 ? `nobody-${i}` : ACCOUNTS[i % ACCOUNTS.length]!,
        payeeAccountId: ACCOUNTS[(i * 7 + 3) % ACCOUNTS.length]!,
        amountCents: i % 10 === 9 ? 10n ** 12n : BigInt(1 + (i % 90)),
        currency: 'RUB',
        description: i % 3 === 0 ? 'a "quoted"\n\\ перевод 🧾 \u0001' : '',
        reference: i % 2 === 0 ? `order ${i}` : '',
        metadata: {},
      };
      const metadata = new Metadata();
      if (i % 4 === 0) metadata.set('traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
      await new Promise<void>((resolve, reject) => {
        client.payments.authorizePayment(request, metadata, (error) => (error === null ? resolve() : reject(error)));
      });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, payer));
}

/** Everything that can be done with a payment, and a decline of each: nothing is left to be done by itself. */
async function live(client: LedgerClient): Promise<void> {
  const [payerAccountId, payeeAccountId] = ACCOUNTS as [string, string];
  const hold = { payerAccountId, payeeAccountId, amountCents: 10n, metadata: { room: '12' } };
  const idOf = ({ payment }: { payment: { paymentId: string } | undefined }) => payment!.paymentId;
  const captured = idOf(await client.hold(hold));
  await client.capture(captured, { amountCents: 4n, keepRemainder: true, reference: 'first night' });
  await client.capture(captured, { amountCents: 40n });
  await client.capture(captured);
  await client.refund(captured, { amountCents: 3n });
  await client.refund(captured, { amountCents: 30n });
  await client.void(captured);
  await client.void(idOf(await client.hold(hold)));
  // By the capture or by the sweeper, whichever comes first; either way before the capture is answered.
  await client.capture(idOf(await client.hold({ ...hold, ttl: { seconds: 0n, nanos: 1_000_000 } })));
}

/** Logical decoding needs a setting that the stack's Postgres does without. */
async function decodeLogically(stack: Stack): Promise<void> {
  const client = new pg.Client(stack.postgres.address);
  await client.connect();
  await client.query('alter system set wal_level = logical');
  await client.end();
  await stack.postgres.stop();
  await stack.postgres.start();
}

async function deployed(name: string): Promise<string> {
  return await readFile(join(ROOT, 'deploy/debezium', name), 'utf8');
}

async function startConnectOn(stack: Stack): Promise<Server> {
  const jars = await connectJars(cacheFolder(process.env), say);
  const { hostname, port, pathname } = new URL(stack.postgres.address);
  const env = {
    OUTBOX_DB_HOST: hostname,
    OUTBOX_DB_PORT: port,
    OUTBOX_DB_NAME: pathname.slice(1),
    OUTBOX_DB_USER: 'outbox_reader',
    OUTBOX_DB_PASSWORD: 'trial',
  };
  const connector = await deployed('outbox-connector.json');
  const options = { folder: join(FOLDER, 'connect'), jars, brokers: stack.kafka.address, env, connector };
  return onFreePorts(1, ([port]) => startConnect(options, port!));
}

async function untilTopicExists(brokers: string): Promise<void> {
  const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING });
  await withAdmin(kafka, async (admin) => {
    for (let attempt = 0; !(await admin.listTopics()).includes(TOPIC); attempt++) {
      if (attempt === 100) throw new Error(`Connect has not made the topic ${TOPIC}`);
      await new Promise((resume) => setTimeout(resume, 200));
    }
  });
}

/** Everything in the outbox, by shard and position. */
function written(pool: pg.Pool): Promise<PendingEvent[]> {
  const pages = Array.from({ length: SHARDS }, (_, shard) => ({ shard, except: [] }));
  return postgresOutbox(pool).read(pages, { maxEvents: 1_000_000, maxBytes: 2 ** 30 });
}

const distinct = ({ events }: EventConsumer) => new Set(events.map(({ eventId }) => eventId)).size;

/** Waits until as many events as there are in all have come, and compares. */
async function compare(title: string, consumer: EventConsumer, events: readonly PendingEvent[]): Promise<void> {
  await consumer.until(() => distinct(consumer) >= events.length).catch((error: Error) => say(error.message));
  const problems = differences(consumer.events, events);
  say(`${title}: ${events.length} events, ${consumer.events.length - distinct(consumer)} repeats`);
  for (const problem of problems.slice(0, 5)) console.log(`  ${problem}`);
  if (problems.length > 0) throw new Error(`${problems.length} differences from what the relay sends.`);
}

interface Trial {
  readonly stack: Stack;
  readonly client: LedgerClient;
  readonly pool: pg.Pool;
  readonly connect: Server;
}

async function run({ stack, client, pool, connect }: Trial): Promise<void> {
  await untilTopicExists(stack.kafka.address);
  const consumer = await consumeEvents(stack.kafka.address, TOPIC);
  try {
    await compare('paid before Connect ran', consumer, await written(pool));

    const before = consumer.events.length;
    const paying = pay(client, 2_000);
    await consumer.until(({ length }) => length > before + 300);
    await connect.kill();
    say(`Connect was killed after ${consumer.events.length - before} of 2000 more`);
    await paying;
    await connect.start();
    await compare('after the crash', consumer, await written(pool));
    if (distinct(consumer) === consumer.events.length) throw new Error('No repeats: Connect was not killed in time.');

    const events = await written(pool);
    const since = Date.now();
    await pool.query(await deployed('purge.sql'));
    say(`the outbox was purged after ${Date.now() - since} ms`);
    const left = await written(pool);
    if (left.length > 0) throw new Error(`The purge left ${left.length} rows of ${events.length}`);
    await pay(client, 100);
    await live(client);
    await compare('paid after the purge', consumer, [...events, ...(await written(pool))]);
  } finally {
    await consumer.close();
  }
}

async function main(signal: AbortSignal, finish: (error: Error | null) => void): Promise<() => Promise<void>> {
  await removeData(FOLDER);
  let failed = false;
  const stops: (() => unknown)[] = [() => (failed ? say(`logs are in ${FOLDER}`) : removeData(FOLDER))];
  const stop = async () => {
    for (const each of stops.toReversed()) await each();
  };
  const fail = (error: Error) => {
    failed = true;
    finish(error);
  };
  try {
    // Servers of our own in any case: Postgres is set up anew and started again.
    const own = { DATABASE_URL: '', REDIS_URL: '', KAFKA_BROKERS: '' };
    const stack = await startStack({ dataDir: FOLDER, env: { ...process.env, ...own }, onProgress: say });
    stops.push(() => stack.stop());
    await decodeLogically(stack);
    const env = {
      DATABASE_URL: stack.postgres.address,
      REDIS_URL: stack.redis.address,
      KAFKA_BROKERS: stack.kafka.address,
      GRPC_PORT: '0',
      METRICS_PORT: '0',
      RATE_LIMIT_CAPACITY: '1000000',
    };
    const settings = { env, relay: false, onProgress: say, signal, onFailure: fail };
    const system = await startSystem({ dataDir: join(FOLDER, 'system'), ...settings });
    stops.push(() => system.stop());
    const pool = createPool({
      connectionString: stack.postgres.address,
      max: 1,
      applicationName: 'debezium-trial',
      queryTimeoutMs: 0,
      onIdleError: fail,
    });
    // Not waited for: the purge may be at work, and ends with Postgres.
    stops.push(() => void pool.end());
    // Each on its own, as psql does it: no slot can be made in a transaction that has written.
    for (const statement of (await deployed('setup.sql')).split(/;$/m)) await pool.query(statement);
    await pool.query("alter role outbox_reader password 'trial'");

    const client = new LedgerClient(system.apiAddress);
    stops.push(() => client.close());
    for (const account of ACCOUNTS) await client.openFunded(account, 1_000_000n);
    await pay(client, 300);
    await live(client);
    say('starting Connect');
    const since = Date.now();
    const connect = await startConnectOn(stack);
    stops.push(() => connect.stop());
    say(`Connect is up after ${((Date.now() - since) / 1_000).toFixed(1)} s`);
    run({ stack, client, pool, connect }).then(() => finish(null), fail);
    return stop;
  } catch (error) {
    failed = !signal.aborted;
    await stop();
    throw error;
  }
}

if (process.argv.includes('--help')) console.log(HELP);
else await untilInterrupted(main);
