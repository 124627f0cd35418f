import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { shardOf } from '../../src/app/domain/shard.ts';
import { withAdmin } from '../../src/infra/kafka/client.ts';
import { postgresDeadLetters } from '../../src/infra/postgres/outbox/dead-letters.ts';
import type { DeadLetters } from '../../src/relay/ports.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import {
  byKey,
  createRelay,
  createTopic,
  OutboxWriter,
  readTopic,
  SHARDS,
  type TestRelay,
  testKafka,
} from '../support/relay.ts';

const TOO_LARGE = 20_000;

/** Payers whose events share a partition. */
const SAME_SHARD = sameShard();

function sameShard(): readonly string[] {
  const first = 'acc-1';
  const other = Array.from({ length: 200 }, (_, index) => `acc-${index + 2}`).find(
    (key) => shardOf(key, SHARDS) === shardOf(first, SHARDS),
  );
  return [first, other!];
}

describe('an event that Kafka rejects for good', () => {
  let database: TestDatabase;
  let topic: string;
  let writer: OutboxWriter;
  let worker: TestRelay;
  let deadLetters: DeadLetters;

  beforeEach(async () => {
    database = await createDatabase();
    topic = await createTopic({ 'max.message.bytes': '10000' });
    writer = new OutboxWriter(database);
    worker = createRelay(database, topic);
    deadLetters = postgresDeadLetters(database.application);
  });
  afterEach(async () => {
    await worker.relay.stop(1_000);
    await worker.close();
    await database.close();
  });

  const countHeld = async () => (await database.query('select from outbox_blocked')).length;
  const countPending = async () => (await database.query('select from outbox')).length;

  async function raiseLimit(): Promise<void> {
    await withAdmin(testKafka(), (admin) =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [{ type: 2, name: topic, configEntries: [{ name: 'max.message.bytes', value: '1000000' }] }],
      }),
    );
  }

  /** Two keys of one shard, so that they share batches; the first is rejected in the middle, the other is not. */
  async function writeMixed(): Promise<string> {
    for (let round = 0; round < 30; round++) await writer.write(SAME_SHARD);
    const [rejected] = await writer.write([SAME_SHARD[0]!], { padding: TOO_LARGE });
    for (let round = 0; round < 30; round++) await writer.write(SAME_SHARD);
    return rejected!.eventId;
  }

  test('goes to the dead letters, blocks the later events of its key and no others', async () => {
    const rejected = await writeMixed();
    await worker.relay.runOnce();
    const [first, second] = SAME_SHARD as [string, string];

    const [letter, ...others] = await deadLetters.list(10);
    expect(others).toEqual([]);
    expect(letter).toMatchObject({ eventId: rejected, key: first, blocked: 30 });
    expect(letter?.reason).toMatch(/MESSAGE_TOO_LARGE/);
    expect(await countPending()).toBe(0);

    // What comes later is blocked too.
    await writer.write(SAME_SHARD);
    await worker.relay.runOnce();
    expect(await countHeld()).toBe(31);
    expect(await countPending()).toBe(0);

    const received = byKey(await readTopic(topic, 91));
    expect(received[second]).toEqual(byKey(writer.written)[second]);
    expect(received[first]).toEqual(byKey(writer.written)[first]!.slice(0, 30));
  });

  test('is redriven before the events that it blocked, in their order', async () => {
    const rejected = await writeMixed();
    await worker.relay.runOnce();
    await raiseLimit();
    expect(await deadLetters.redrive(rejected)).toMatchObject({ eventId: rejected, blocked: 30 });
    expect(await deadLetters.redrive(rejected)).toBeUndefined();
    await writer.write(SAME_SHARD);
    await expect
      .poll(
        async () => {
          await worker.relay.runOnce();
          return { pending: await countPending(), letters: await deadLetters.list(1) };
        },
        // The broker takes a moment to use its new limit, until then it rejects again.
        { timeout: 10_000 },
      )
      .toEqual({ pending: 0, letters: [] });
    expect(byKey(await readTopic(topic, 123))).toEqual(byKey(writer.written));
    expect(await countHeld()).toBe(0);
  });

  test('is rejected again if nothing was put right, and blocks its key again', async () => {
    const rejected = await writeMixed();
    await worker.relay.runOnce();
    await deadLetters.redrive(rejected);
    await worker.relay.runOnce();
    expect(await deadLetters.list(10)).toMatchObject([{ eventId: rejected, blocked: 30 }]);
    expect(await countPending()).toBe(0);
  });

  test('is left out after it was discarded, and its key goes on', async () => {
    const rejected = await writeMixed();
    await worker.relay.runOnce();
    expect(await deadLetters.discard(rejected)).toMatchObject({ eventId: rejected, blocked: 30 });
    await worker.relay.runOnce();
    const kept = writer.written.filter(({ eventId }) => eventId !== rejected);
    expect(byKey(await readTopic(topic, 120))).toEqual(byKey(kept));
  });

  test('is told from a batch that is too large only as a whole', async () => {
    // Each is below the topic's limit, all together are far above it.
    for (let round = 0; round < 40; round++) await writer.write(SAME_SHARD, { padding: 1_000 });
    await worker.relay.runOnce();
    expect(await deadLetters.list(1)).toEqual([]);
    expect(byKey(await readTopic(topic, 80))).toEqual(byKey(writer.written));
  });

  test('keeps the order while it is redriven and discarded under traffic', async () => {
    worker.relay.start();
    const [first] = SAME_SHARD as [string];
    const discarded = new Set<string>();
    for (let round = 0; round < 60; round++) {
      await writer.write(SAME_SHARD);
      if (round % 10 === 5) await writer.write([first], { padding: TOO_LARGE });
      const [letter] = await deadLetters.list(1);
      if (letter === undefined) continue;
      if (round % 3 > 0) await deadLetters.redrive(letter.eventId);
      else if (await deadLetters.discard(letter.eventId)) discarded.add(letter.eventId);
    }
    await expect
      .poll(async () => {
        for (const { eventId } of await deadLetters.list(10)) {
          if (await deadLetters.discard(eventId)) discarded.add(eventId);
        }
        return (await countPending()) + (await countHeld());
      })
      .toBe(0);
    const kept = writer.written.filter(({ eventId }) => !discarded.has(eventId));
    expect(discarded.size).toBe(6);
    expect(byKey(await readTopic(topic, kept.length))).toEqual(byKey(kept));
  });
});
