import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kafka } from 'kafkajs';
import { Registry } from 'prom-client';
import { monotonicFactory, ulidToUUID } from 'ulid';
import { inject } from 'vitest';
import { shardOf } from '../../src/app/domain/shard.ts';
import { type KafkaSettings, kafkaClient, withAdmin } from '../../src/infra/kafka/client.ts';
import { protocolErrorType } from '../../src/infra/kafka/errors.ts';
import { KafkaPublisher } from '../../src/infra/kafka/publisher.ts';
import { untilLeadersAnswer } from '../../src/infra/kafka/topic.ts';
import { postgresOutbox } from '../../src/infra/postgres/outbox/outbox.ts';
import { postgresShardLeases } from '../../src/infra/postgres/outbox/shard-leases.ts';
import { relayMetrics } from '../../src/relay/metrics.ts';
import type { Logger, Signals } from '../../src/relay/ports.ts';
import { Relay, type RelaySettings } from '../../src/relay/relay.ts';
import { consumeEvents, type ReceivedEvent } from '../../tools/events.ts';
import type { TestDatabase } from './database.ts';

export const SHARDS = 16;
/** The ce_source of test publishers. */
export const SOURCE = '/payment-ledger';

export const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Only what polling finds. */
export const noSignals: Signals = {
  onCommitted: () => undefined,
  onShardsChanged: () => undefined,
  shardsChanged: () => undefined,
};

export interface TestRelay {
  readonly relay: Relay;
  readonly workerId: string;
  close(): Promise<void>;
}

/** A relay worker in this process, with polling instead of hints unless it is given signals. */
export function createRelay(
  database: Pick<TestDatabase, 'application'>,
  topic: string,
  overrides: Partial<RelaySettings> & { signals?: Signals } = {},
): TestRelay {
  const { signals = noSignals, ...settings } = overrides;
  const workerId = settings.workerId ?? randomUUID();
  const publisher = testPublisher(topic);
  const relay = new Relay(
    { workerId, leaseMs: 10_000, batchSize: 500, batchBytes: 524_288, pollMs: 50, ...settings },
    {
      outbox: postgresOutbox(database.application),
      leases: postgresShardLeases(database.application),
      publisher,
      signals,
      metrics: relayMetrics(new Registry()),
      log: silent,
    },
  );
  return { relay, workerId, close: () => publisher.close() };
}

export function testPublisher(topic: string): KafkaPublisher {
  const settings = { topic, source: SOURCE, ackTimeoutMs: 5_000, rebuildAfterMs: 10_000 };
  return new KafkaPublisher(testKafkaSettings(), settings, silent);
}

export function testKafka(): Kafka {
  return kafkaClient(testKafkaSettings(), silent);
}

export function testKafkaSettings(): KafkaSettings {
  return { brokers: inject('kafkaBrokers').split(','), clientId: 'test' };
}

/** Creates a topic of the test's own that takes events at once, and returns its name. */
export async function createTopic(
  config: Record<string, string> = {},
  partitions = SHARDS,
  topic = `payment.events.${randomUUID()}`,
): Promise<string> {
  const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
  await withAdmin(testKafka(), async (admin) => {
    await admin.createTopics({ topics: [{ topic, numPartitions: partitions, configEntries }], waitForLeaders: false });
    await untilLeadersAnswer(admin, topic);
  });
  return topic;
}

/** Deletes the topic; resolves when its name is free. */
export async function deleteTopic(topic: string): Promise<void> {
  await withAdmin(testKafka(), async (admin) => {
    await admin.deleteTopics({ topics: [topic] });
    while ((await admin.listTopics()).includes(topic)) await sleep(50);
  });
}

/**
 * All consumer groups. A broker lists none while it still loads what its coordinators
 * know, which it begins to do when the first group of all asks for one.
 */
export async function listGroups(): Promise<readonly { groupId: string }[]> {
  return await withAdmin(testKafka(), async (admin) => {
    for (;;) {
      try {
        return (await admin.listGroups()).groups;
      } catch (error) {
        if (protocolErrorType(error) !== 'GROUP_LOAD_IN_PROGRESS') throw error;
        await sleep(50);
      }
    }
  });
}

export interface TestEvent {
  readonly eventId: string;
  readonly key: string;
  /** Counts the key's events from 1. */
  readonly version: number;
}

const nextUlid = monotonicFactory();

/** Writes events of PaymentAuthorized's form to the outbox, and remembers the versions of each payer. */
export class OutboxWriter {
  readonly #pool: TestDatabase['pool'];
  readonly #versions = new Map<string, number>();
  readonly written: TestEvent[] = [];

  constructor(database: Pick<TestDatabase, 'pool'>) {
    this.#pool = database.pool;
  }

  /**
   * One event for each of the keys, in one transaction that stays open for openMs.
   * Padding makes payloads larger by so many bytes. As with payments, no key may be
   * in two transactions at a time.
   */
  async write(keys: readonly string[], { padding = 0, openMs = 0 } = {}): Promise<TestEvent[]> {
    const events = keys.map((key) => {
      const version = (this.#versions.get(key) ?? 0) + 1;
      this.#versions.set(key, version);
      return { eventId: nextUlid(), key, version };
    });
    const client = await this.#pool.connect();
    try {
      await client.query('begin');
      await client.query(INSERT, [
        events.map(({ key }) => shardOf(key, SHARDS)),
        events.map(({ eventId }) => ulidToUUID(eventId)),
        keys,
        events.map((event) => JSON.stringify(payload(event, padding))),
      ]);
      if (openMs > 0) await new Promise((resume) => setTimeout(resume, openMs));
      await client.query('commit');
    } finally {
      client.release();
    }
    this.written.push(...events);
    return events;
  }
}

const INSERT = `
  insert into outbox (shard, id, aggregatetype, aggregateid, type, payload, created_at)
  select shard, id::uuid, 'payment', key, 'payment.authorized.v1', payload::jsonb, clock_timestamp()
  from unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) with ordinality as event (shard, id, key, payload, n)
  order by n`;

function payload({ eventId, key, version }: TestEvent, padding: number): object {
  return {
    paymentId: eventId,
    payerAccountId: key,
    payeeAccountId: 'acc-payee',
    amountCents: '100',
    currency: 'RUB',
    // Random, or it would be compressed away.
    description:
      padding === 0 ? 'a test' : Buffer.from(crypto.getRandomValues(new Uint8Array(padding))).toString('hex'),
    payer: { balanceCents: '1000', version: String(version) },
    payee: { balanceCents: '1000', version: '1' },
  };
}

/** Everything on the topic up to now, in order within each partition. */
export async function readTopic(topic: string, atLeast: number, timeoutMs?: number): Promise<readonly ReceivedEvent[]> {
  const consumer = await consumeEvents(inject('kafkaBrokers'), topic);
  try {
    await consumer.until((events) => events.length >= atLeast, timeoutMs);
    return [...consumer.events];
  } finally {
    await consumer.close();
  }
}

/** As [eventId, …] for each key, repeats included. */
export function byKey(events: readonly { key: string; eventId: string }[]): Record<string, string[]> {
  const ids: Record<string, string[]> = {};
  for (const { key, eventId } of events) {
    ids[key] ??= [];
    ids[key].push(eventId);
  }
  return ids;
}
