import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { shardOf } from '../../src/app/domain/shard.ts';
import { ensureTopic, TopicMismatchError } from '../../src/infra/kafka/topic.ts';
import { postgresOutbox } from '../../src/infra/postgres/outbox/outbox.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { byKey, createRelay, createTopic, OutboxWriter, readTopic, SHARDS, testKafka } from '../support/relay.ts';

describe('the relay', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.close());

  test('publishes every event once, in order within its key, to the partition of its shard, and empties the outbox', async () => {
    const topic = await createTopic();
    const writer = new OutboxWriter(database);
    const keys = Array.from({ length: 40 }, (_, index) => `acc-${index}`);
    for (let round = 0; round < 50; round++) await writer.write(keys);

    // Small pages, so that there is much to read ahead.
    const { relay, close } = createRelay(database, topic, { batchSize: 20 });
    expect(await relay.runOnce()).toBe(2_000);
    expect(await relay.runOnce()).toBe(0);
    await relay.stop(1_000);
    await close();

    const received = await readTopic(topic, 2_000);
    expect(byKey(received)).toEqual(byKey(writer.written));
    for (const { key, partition } of received) expect(partition).toBe(shardOf(key, SHARDS));
    expect(await database.query('select from outbox')).toHaveLength(0);
    expect(await database.query('select from outbox_shards where owner is not null')).toHaveLength(0);
  });

  test('sends CloudEvents in binary mode, with the trace context it was given', async () => {
    const topic = await createTopic();
    const writer = new OutboxWriter(database);
    const [event] = await writer.write(['acc-headers']);
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const [row] = await database.query<{ created_at: Date }>(
      `update outbox set headers = '{"traceparent": "${traceparent}"}' returning created_at`,
    );
    const { relay, close } = createRelay(database, topic);
    expect(await relay.runOnce()).toBe(1);
    await relay.stop(1_000);
    await close();

    const [received] = await readTopic(topic, 1);
    expect(received?.headers).toEqual({
      ce_specversion: '1.0',
      ce_id: event!.eventId,
      ce_type: 'payment.authorized.v1',
      ce_source: '/payment-ledger',
      ce_time: row!.created_at.toISOString(),
      'content-type': 'application/json',
      traceparent,
      ce_subject: event!.eventId,
    });
    expect(received?.authorized?.payer?.version).toBe(1n);
  });

  test('keeps an event while its topic takes nothing, and sends it once it does', async () => {
    const topic = `payment.events.${crypto.randomUUID()}`;
    const [event] = await new OutboxWriter(database).write(['acc-early']);
    const { relay, close } = createRelay(database, topic);
    expect(await relay.runOnce()).toBe(0);
    expect(await database.query('select from outbox')).toHaveLength(1);
    await createTopic({}, SHARDS, topic);
    await expect.poll(() => relay.runOnce()).toBe(1);
    await relay.stop(1_000);
    await close();
    expect((await readTopic(topic, 1)).map(({ eventId }) => eventId)).toEqual([event!.eventId]);
  });

  test('reads an event that commits late although it has read beyond it', async () => {
    const outbox = postgresOutbox(database.application);
    const limits = { maxEvents: 10, maxBytes: 1_000_000 };
    const shard = shardOf('acc-late', SHARDS);
    const late = await database.pool.connect();
    await late.query('begin');
    const write = `insert into outbox (shard, id, aggregatetype, aggregateid, type, payload, created_at)
      values (${shard}, gen_random_uuid(), 'payment', $1, 'payment.authorized.v1', '{}', now()) returning position, id as uuid`;
    const lateRow = await late.query<{ position: bigint }>(write, ['acc-late']);
    const [earlyRow] = await database.query<{ position: bigint; uuid: string }>(write, ['acc-other']);

    const ahead = await outbox.read([{ shard, except: [] }], limits);
    expect(ahead.map(({ position }) => position)).toEqual([earlyRow!.position]);
    await late.query('commit');
    late.release();
    const [laterRow] = await database.query<{ position: bigint }>(write, ['acc-late']);

    const rest = await outbox.read([{ shard, except: [earlyRow!.uuid] }], limits);
    expect(rest.map(({ position }) => position)).toEqual([lateRow.rows[0]!.position, laterRow!.position]);
    await database.query('delete from outbox');
  });

  test('ends a page at its limit of bytes, but gives one event at least', async () => {
    const writer = new OutboxWriter(database);
    await writer.write(['acc-large', 'acc-large', 'acc-large'], { padding: 5_000 });
    const page = [{ shard: shardOf('acc-large', SHARDS), except: [] }];
    const outbox = postgresOutbox(database.application);
    expect(await outbox.read(page, { maxEvents: 10, maxBytes: 1 })).toHaveLength(1);
    expect(await outbox.read(page, { maxEvents: 10, maxBytes: 15_000 })).toHaveLength(2);
    await database.query('delete from outbox');
  });

  test('delivers through hand-over when workers come and go', async () => {
    const topic = await createTopic();
    const writer = new OutboxWriter(database);
    const keys = Array.from({ length: 30 }, (_, index) => `acc-${index}`);
    let writing = true;
    const traffic = (async () => {
      while (writing) await writer.write(keys);
    })();
    const workers = [createRelay(database, topic), createRelay(database, topic), createRelay(database, topic)];
    for (const { relay } of workers) {
      relay.start();
      await new Promise((resume) => setTimeout(resume, 500));
    }
    await Promise.all(workers.slice(0, 2).map(({ relay }) => relay.stop(5_000)));
    await new Promise((resume) => setTimeout(resume, 1_500));
    writing = false;
    await traffic;
    await expect.poll(() => database.query('select from outbox')).toHaveLength(0);
    await workers[2]!.relay.stop(5_000);
    for (const { close } of workers) await close();

    const received = await readTopic(topic, writer.written.length);
    // Every hand-over was orderly, so nothing is repeated either.
    expect(byKey(received)).toEqual(byKey(writer.written));
  });

  test('creates a topic that takes events at once', async () => {
    const topic = `payment.events.${crypto.randomUUID()}`;
    await ensureTopic(testKafka(), { topic, partitions: SHARDS, replicationFactor: 1, retentionMs: -1 });
    const producer = testKafka().producer({ allowAutoTopicCreation: false, retry: { retries: 0 } });
    await producer.connect();
    const messages = Array.from({ length: SHARDS }, (_, partition) => ({ partition, value: 'first' }));
    await expect(producer.send({ topic, messages })).resolves.toHaveLength(SHARDS);
    await producer.disconnect();
  });

  test('creates a missing topic with a partition for each shard and rejects one that has another number', async () => {
    const kafka = testKafka();
    const topic = `payment.events.${crypto.randomUUID()}`;
    await ensureTopic(kafka, { topic, partitions: SHARDS, replicationFactor: 1, retentionMs: -1 });
    await ensureTopic(kafka, { topic, partitions: SHARDS, replicationFactor: 1, retentionMs: -1 });
    const other = await createTopic({}, 3);
    const rejected = ensureTopic(kafka, { topic: other, partitions: SHARDS, replicationFactor: 1, retentionMs: -1 });
    await expect(rejected).rejects.toThrow(TopicMismatchError);
    await expect(rejected).rejects.toThrow(/has 3 partitions but the outbox has 16 shards.*set KAFKA_TOPIC/);
  });
});
