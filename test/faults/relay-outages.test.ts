import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { migrate } from '../../src/cli/migrate.ts';
import { createPool } from '../../src/infra/postgres/pool.ts';
import { consumeEvents } from '../../tools/events.ts';
import { type Stack, startStack } from '../../tools/stack/stack.ts';
import { createEmptyDatabase } from '../support/empty-database.ts';
import { disorder } from '../support/order.ts';
import { type Service, startRelay } from '../support/processes.ts';
import { byKey, OutboxWriter } from '../support/relay.ts';

const KEYS = Array.from({ length: 50 }, (_, index) => `acc-${index}`);
/** Longer than the relay keeps a producer that does not get through. KAFKA_OUTAGE_SECONDS=180 shows longer ones. */
const OUTAGE_MS = 1_000 * Number(process.env['KAFKA_OUTAGE_SECONDS'] ?? 25);

describe('a relay whose servers stop', () => {
  let stack: Stack;
  let dataDir: string;
  let pool: ReturnType<typeof createPool>;
  let writer: OutboxWriter;
  let env: Record<string, string>;
  let relay: Service | undefined;

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'payment-ledger-outages-'));
    // Servers of its own, to be stopped.
    const { DATABASE_URL: _, REDIS_URL: __, KAFKA_BROKERS: ___, ...others } = process.env;
    stack = await startStack({ dataDir, env: others });
  });
  afterAll(async () => {
    await stack?.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  beforeEach(async () => {
    const name = `test_${crypto.randomUUID().replaceAll('-', '')}`;
    const url = await createEmptyDatabase(stack.postgres.address, name);
    await migrate(url);
    pool = createPool({
      connectionString: url,
      max: 3,
      applicationName: 'test',
      queryTimeoutMs: 0,
      onIdleError: () => undefined,
    });
    writer = new OutboxWriter({ pool });
    env = {
      DATABASE_URL: url,
      REDIS_URL: stack.redis.address,
      KAFKA_BROKERS: stack.kafka.address,
      KAFKA_TOPIC: `payment.events.${crypto.randomUUID()}`,
      RELAY_LEASE_MS: '3000',
    };
  });
  afterEach(async () => {
    await relay?.stop();
    relay = undefined;
    await pool.end();
  });

  const pending = async () => (await pool.query('select from outbox')).rowCount;
  const write = async (rounds: number) => {
    for (let round = 0; round < rounds; round++) await writer.write(KEYS);
  };

  async function everythingArrived(): Promise<void> {
    await expect.poll(pending).toBe(0);
    const consumer = await consumeEvents(stack.kafka.address, env['KAFKA_TOPIC']!);
    await consumer.until((events) => events.length >= writer.written.length);
    await consumer.close();
    const seen = new Set<string>();
    const first = consumer.events.filter(({ eventId }) => !seen.has(eventId) && seen.add(eventId));
    expect(byKey(first)).toEqual(byKey(writer.written));
    expect(disorder(consumer.events)).toEqual([]);
  }

  test(
    'goes on by itself, under traffic, when Kafka is back after longer than its producer bears',
    async () => {
      relay = await startRelay(env);
      let writing = true;
      const traffic = (async () => {
        while (writing) {
          await writer.write(KEYS);
          await sleep(200);
        }
      })();
      await sleep(2_000);
      await stack.kafka.kill();
      await sleep(OUTAGE_MS);
      const backlog = await pending();
      expect(backlog).toBeGreaterThanOrEqual(1_000);
      await stack.kafka.start();
      const backAtMs = performance.now();
      // Each poll may find what was written since; a moment without is enough.
      await expect.poll(pending, { timeout: 60_000, interval: 20 }).toBe(0);
      const recoveredMs = Math.round(performance.now() - backAtMs);
      console.info(
        `${OUTAGE_MS / 1_000} s without Kafka: ${backlog} events were pending, all sent ${recoveredMs} ms after it was back`,
      );
      writing = false;
      await traffic;
      await everythingArrived();
      expect(relay.child.exitCode).toBeNull();
    },
    OUTAGE_MS + 120_000,
  );

  test('starts before Kafka and waits for it', async () => {
    await stack.kafka.stop();
    const started = startRelay(env);
    await write(5);
    await sleep(3_000);
    await stack.kafka.start();
    relay = await started;
    await everythingArrived();
  });

  test('goes on by itself when Postgres is back', async () => {
    relay = await startRelay(env);
    await write(20);
    await stack.postgres.kill();
    await sleep(5_000);
    await stack.postgres.start();
    await write(20);
    await everythingArrived();
    expect(relay.child.exitCode).toBeNull();
  });

  test('needs Redis for nothing but speed', async () => {
    relay = await startRelay(env);
    await stack.redis.kill();
    await write(20);
    await everythingArrived();
    await stack.redis.start();
    await write(20);
    await everythingArrived();
    expect(relay.child.exitCode).toBeNull();
    expect(await relay.stop()).toBe(0);
  });

  test('stops in good order while Kafka is unreachable, within its grace', async () => {
    relay = await startRelay({ ...env, SHUTDOWN_GRACE_MS: '3000' });
    await write(5);
    await stack.kafka.kill();
    await write(5);
    await sleep(500);
    // Kafka is not back before it has ended.
    expect(await relay.stop()).toBe(0);
    const owned = await pool.query('select from outbox_shards where owner is not null');
    expect(owned.rowCount).toBe(0);
    await stack.kafka.start();
    relay = await startRelay(env);
    await everythingArrived();
  });
});
