import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { createSystem, type System } from '../support/system.ts';
import { startTraffic, until } from '../support/traffic.ts';
import { verifyEvents } from '../support/verify.ts';

const ACCOUNTS = ['a', 'b', 'c', 'd', 'e', 'f'];

describe('the number of shards, changed as docs/operations.md says', () => {
  let system: System;
  beforeAll(async () => {
    system = await createSystem();
  });
  afterAll(() => system?.close());

  /** Pays for a while with all events on one topic, stops everything once they are sent, and compares. */
  async function payOn(topic: string): Promise<void> {
    const since = new Date();
    const api = await system.startApi();
    const relay = await system.startRelay({ KAFKA_TOPIC: topic });
    for (const account of ACCOUNTS) await api.client.openFunded(account, 1_000_000n);
    const traffic = startTraffic([api.client], ACCOUNTS, 4);
    await traffic.untilPaid(100);
    await traffic.stop();
    expect(traffic.failed).toEqual([]);
    const pending = () => system.database.query('select from outbox limit 1');
    await until(async () => (await pending()).length === 0, 'an empty outbox');
    await api.stop();
    await relay.stop();
    const DATABASE_URL = applicationAddress(system.database.url);
    const env = { DATABASE_URL, KAFKA_BROKERS: inject('kafkaBrokers'), KAFKA_TOPIC: topic };
    const verified = await verifyEvents(env, since);
    expect(verified.code, verified.output).toBe(0);
  }

  test('from 16 to 24 and to 8, each with a topic of its own: books and events agree', async () => {
    await payOn(system.topic);
    await system.database.query('insert into outbox_shards (shard) select generate_series(16, 23)');
    await payOn(`${system.topic}.24`);
    await system.database.query('delete from outbox_shards where shard >= 8');
    await payOn(`${system.topic}.8`);
  }, 400_000);

  test('a relay does not start on a topic with another number of partitions', async () => {
    await expect(system.startRelay()).rejects.toThrow(/has 16 partitions but the outbox has 8 shards/);
  });
});
