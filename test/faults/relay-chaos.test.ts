import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { consumeEvents } from '../../tools/events.ts';
import { type Stack, startStack } from '../../tools/stack/stack.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { disorder } from '../support/order.ts';
import { ownRedisUrl } from '../support/own-redis.ts';
import { type Service, startRelay } from '../support/processes.ts';
import { seeded } from '../support/random.ts';
import { byKey, OutboxWriter } from '../support/relay.ts';

// A run takes half a minute; a failure names its seed. RELAY_CHAOS_SEEDS=1-8 runs eight, RELAY_CHAOS_SEEDS=3,7 those two.
const SEEDS = (process.env['RELAY_CHAOS_SEEDS'] ?? '1').split(',').flatMap((range) => {
  const [first, last = first] = range.split('-').map(Number);
  return Array.from({ length: last! - first! + 1 }, (_, index) => first! + index);
});
const LEASE_MS = 2_000;
const STEPS = 24;
const ACCOUNTS = Array.from({ length: 200 }, (_, index) => `acc-${index}`);

describe('workers and broker that come and go', () => {
  let stack: Stack;
  let dataDir: string;

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'payment-ledger-chaos-'));
    // A broker of its own, to be restarted.
    const others = { DATABASE_URL: inject('databaseUrl'), REDIS_URL: ownRedisUrl() };
    const { KAFKA_BROKERS: _, ...env } = process.env;
    stack = await startStack({ dataDir, env: { ...env, ...others } });
  });
  afterAll(async () => {
    await stack?.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  test.each(SEEDS)(
    'lose nothing, orphan nothing and keep the order of each key (seed %i)',
    async (seed) => {
      const database = await createDatabase();
      const topic = `payment.events.chaos-${seed}-${Date.now()}`;
      const crew = new Crew(database, stack, topic, seeded(seed));
      const writer = new OutboxWriter(database);
      try {
        await crew.hire(4);
        const traffic = new Traffic(writer, seeded(seed + 1));
        for (let step = 0; step < STEPS; step++) {
          // Once in every run, and beyond that as chance will have it.
          if (step === STEPS / 2) await crew.restartBroker();
          await crew.step();
        }
        await traffic.stop();
        await crew.finish();
        await expect.poll(() => count(database), { timeout: 60_000, interval: 200 }).toBe(0);
      } finally {
        await crew.dismiss();
        await database.close();
      }
      const received = await consume(stack.kafka.address, topic, writer.written.length);

      const payloads = new Map(received.map((event) => [event.eventId, JSON.stringify(event.authorized, bigintText)]));
      const seen = new Set<string>();
      const first = received.filter(({ eventId }) => !seen.has(eventId) && seen.add(eventId));
      console.info(
        `seed ${seed}: ${crew.history.join(' ')}; ${first.length} events, ${received.length - first.length} repeats`,
      );
      expect(byKey(first)).toEqual(byKey(writer.written));
      expect(disorder(received)).toEqual([]);
      for (const event of received)
        expect(JSON.stringify(event.authorized, bigintText)).toBe(payloads.get(event.eventId));
    },
    240_000,
  );
});

/** The worker processes, and what befalls them and the broker. */
class Crew {
  readonly history: string[] = [];
  readonly #database: TestDatabase;
  readonly #stack: Stack;
  readonly #topic: string;
  readonly #random: () => number;
  #workers: Service[] = [];
  readonly #starting = new Set<Promise<void>>();
  readonly #paused = new Set<Promise<void>>();

  constructor(database: TestDatabase, stack: Stack, topic: string, random: () => number) {
    this.#database = database;
    this.#stack = stack;
    this.#topic = topic;
    this.#random = random;
  }

  async hire(count: number): Promise<void> {
    for (let index = 0; index < count; index++) this.#start();
    await Promise.all(this.#starting);
  }

  async step(): Promise<void> {
    const chance = this.#random();
    const size = this.#workers.length + this.#starting.size;
    if (chance < 0.2) this.#kill();
    else if (chance < 0.4) this.#pause();
    else if (chance < 0.55 && size > 2) this.#remove();
    else if (chance < 0.62) await this.restartBroker();
    if (size < 3 || (chance >= 0.62 && chance < 0.8 && size < 7)) this.#start();
    await wait(200 + this.#random() * 800);
  }

  /** Waits until those stopped run again; at least one works. */
  async finish(): Promise<void> {
    await Promise.all(this.#paused);
    await Promise.all(this.#starting);
    if (this.#workers.length === 0) await this.hire(1);
  }

  async dismiss(): Promise<void> {
    await Promise.all([...this.#paused, ...this.#starting]);
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }

  #start(): void {
    this.history.push('add');
    const started = startRelay({
      DATABASE_URL: this.#database.url,
      REDIS_URL: ownRedisUrl(),
      KAFKA_BROKERS: this.#stack.kafka.address,
      KAFKA_TOPIC: this.#topic,
      RELAY_LEASE_MS: String(LEASE_MS),
      // Small, so that there is always something read ahead and in flight.
      RELAY_BATCH_SIZE: '50',
    })
      .then((worker) => void this.#workers.push(worker))
      .finally(() => this.#starting.delete(started));
    this.#starting.add(started);
  }

  #take(): Service | undefined {
    const [worker] = this.#workers.splice(Math.floor(this.#random() * this.#workers.length), 1);
    return worker;
  }

  #kill(): void {
    this.history.push('kill');
    void this.#take()?.stop('SIGKILL');
  }

  #remove(): void {
    this.history.push('remove');
    void this.#take()?.stop('SIGTERM');
  }

  /** Stops a worker in its tracks until well after its leases have ended. */
  #pause(): void {
    const worker = this.#take();
    if (worker === undefined) return;
    this.history.push('pause');
    worker.child.kill('SIGSTOP');
    const resumed = wait(LEASE_MS * (1.2 + this.#random()))
      .then(() => {
        worker.child.kill('SIGCONT');
        this.#workers.push(worker);
      })
      .finally(() => this.#paused.delete(resumed));
    this.#paused.add(resumed);
  }

  async restartBroker(): Promise<void> {
    const crash = this.#random() < 0.5;
    this.history.push(crash ? 'crash-broker' : 'restart-broker');
    await (crash ? this.#stack.kafka.kill() : this.#stack.kafka.stop());
    await wait(this.#random() * 2_000);
    await this.#stack.kafka.start();
  }
}

/** Several writers at a time, each with payers of its own, whose transactions overlap and commit out of turn. */
class Traffic {
  #running = true;
  readonly #writers: Promise<void>[];

  constructor(writer: OutboxWriter, random: () => number) {
    this.#writers = [0, 1, 2, 3].map(async (quarter) => {
      const mine = ACCOUNTS.filter((_, index) => index % 4 === quarter);
      while (this.#running) {
        const keys = mine.filter(() => random() < 0.2);
        await writer.write(keys, { openMs: random() < 0.3 ? random() * 40 : 0 });
        await wait(random() * 40);
      }
    });
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#writers);
  }
}

async function consume(brokers: string, topic: string, expected: number) {
  const consumer = await consumeEvents(brokers, topic);
  try {
    await consumer.until(
      (events) => events.length >= expected && new Set(events.map(({ eventId }) => eventId)).size >= expected,
    );
    // Whatever should not be there comes at the end, if at all.
    await wait(500);
    return [...consumer.events];
  } finally {
    await consumer.close();
  }
}

async function count(database: TestDatabase): Promise<number> {
  return (await database.query<{ n: number }>('select count(*)::int as n from outbox'))[0]!.n;
}

function bigintText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

function wait(ms: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, ms));
}
