import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { postgresDeadLetters } from '../../src/infra/postgres/outbox/dead-letters.ts';
import { createPool } from '../../src/infra/postgres/pool.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { findPgBouncer, type PgBouncer, startPgBouncer } from '../support/pgbouncer.ts';
import { byKey, createRelay, createTopic, OutboxWriter, readTopic } from '../support/relay.ts';

const installed = await findPgBouncer();
if (typeof installed === 'string') console.warn(`SKIPPED: the relay behind PgBouncer was not tested: ${installed}`);

describe.skipIf(typeof installed === 'string')('the relay behind PgBouncer in transaction mode', () => {
  let database: TestDatabase;
  let bouncer: PgBouncer;
  beforeAll(async () => {
    if (typeof installed === 'string') throw new Error(installed);
    database = await createDatabase();
    bouncer = await startPgBouncer(installed, database.url);
  });
  afterAll(async () => {
    await bouncer?.stop();
    await database?.close();
  });

  test('shares shards, publishes in order, dead-letters, blocks, redrives and hands over', async () => {
    const topic = await createTopic({ 'max.message.bytes': '10000' });
    const pools = [1, 2].map(() =>
      createPool({
        connectionString: bouncer.url,
        max: 5,
        applicationName: 'test',
        queryTimeoutMs: 10_000,
        onIdleError: () => undefined,
      }),
    );
    const workers = pools.map((pool) => createRelay({ application: pool }, topic));
    for (const { relay } of workers) relay.start();

    const writer = new OutboxWriter(database);
    const keys = Array.from({ length: 50 }, (_, index) => `acc-${index}`);
    for (let round = 0; round < 40; round++) {
      await writer.write(keys);
      if (round === 20) await writer.write(['acc-7'], { padding: 20_000 });
    }
    await expect.poll(() => database.query('select from outbox')).toHaveLength(0);
    const fair = 'select owner from outbox_shards group by owner having count(*) = 8';
    await expect.poll(() => database.query(fair)).toHaveLength(2);

    const deadLetters = postgresDeadLetters(pools[0]!);
    const [letter] = await deadLetters.list(10);
    expect(letter).toMatchObject({ key: 'acc-7', blocked: 19 });
    await deadLetters.discard(letter!.eventId);
    await expect.poll(() => database.query('select from outbox')).toHaveLength(0);

    await Promise.all(workers.map(({ relay }) => relay.stop(5_000)));
    expect(await database.query('select from outbox_shards where owner is not null')).toHaveLength(0);
    for (const { close } of workers) await close();
    for (const pool of pools) await pool.end();
    const kept = writer.written.filter(({ eventId }) => eventId !== letter?.eventId);
    expect(byKey(await readTopic(topic, kept.length))).toEqual(byKey(kept));
  });
});
