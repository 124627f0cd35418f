import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { shardOf } from '../../src/app/domain/shard.ts';
import { postgresOutbox } from '../../src/infra/postgres/outbox/outbox.ts';
import { postgresShardLeases } from '../../src/infra/postgres/outbox/shard-leases.ts';
import { fairShare } from '../../src/relay/lease-keeper.ts';
import type { Outbox, ShardLeases } from '../../src/relay/ports.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { createRelay, createTopic, OutboxWriter, SHARDS } from '../support/relay.ts';

const LONG_MS = 60_000;
const LIMITS = { maxEvents: 10, maxBytes: 1_000_000 };

describe('shard leases', () => {
  let database: TestDatabase;
  let leases: ShardLeases;
  let outbox: Outbox;
  beforeEach(async () => {
    database = await createDatabase();
    leases = postgresShardLeases(database.application);
    outbox = postgresOutbox(database.application);
  });
  afterEach(() => database.close());

  const endLeases = () => database.query("update outbox_shards set leased_until = now() - interval '1 ms'");

  test('are owned by one worker at a time and raise the epoch with each claim', async () => {
    const mine = await leases.claim('one', LONG_MS, 10);
    expect(mine).toHaveLength(10);
    expect(mine.every(({ epoch }) => epoch === 1n)).toBe(true);
    expect(await leases.claim('two', LONG_MS, SHARDS)).toHaveLength(SHARDS - 10);
    expect(await leases.claim('three', LONG_MS, SHARDS)).toEqual([]);

    await endLeases();
    const theirs = await leases.claim('three', LONG_MS, SHARDS);
    expect(theirs.every(({ epoch }) => epoch === 2n)).toBe(true);
    expect((await leases.renew('one', LONG_MS)).owned).toEqual([]);
  });

  test('are claimed by one of many that want them at the same moment', async () => {
    const claims = await Promise.all(
      Array.from({ length: 8 }, (_, index) => leases.claim(`worker-${index}`, LONG_MS, SHARDS)),
    );
    expect(claims.flat().map(({ shard }) => shard)).toHaveLength(SHARDS);
    expect(new Set(claims.flat().map(({ shard }) => shard)).size).toBe(SHARDS);
  });

  test('go on when a renewal comes late but nobody has claimed them', async () => {
    const mine = await leases.claim('one', LONG_MS, SHARDS);
    await endLeases();
    expect((await leases.renew('one', LONG_MS)).owned).toEqual(mine);
    expect(await leases.claim('two', LONG_MS, SHARDS)).toEqual([]);
  });

  test('count workers that own nothing, and not those that have gone', async () => {
    await leases.renew('b', LONG_MS);
    await leases.renew('a', LONG_MS);
    expect((await leases.renew('c', LONG_MS)).workers).toEqual(['a', 'b', 'c']);
    await database.query("update relay_workers set seen_at = now() - interval '61 s' where worker_id = 'a'");
    await leases.leave('b');
    expect((await leases.renew('c', LONG_MS)).workers).toEqual(['c']);
  });

  test('fence every write of a worker that was replaced', async () => {
    const writer = new OutboxWriter(database);
    await writer.write(['acc-1', 'acc-1']);
    const shard = shardOf('acc-1', SHARDS);
    const old = (await leases.claim('old', LONG_MS, SHARDS)).find((lease) => lease.shard === shard)!;
    const [first, second] = await outbox.read([{ shard, except: [] }], LIMITS);
    await endLeases();
    const [current] = (await leases.claim('new', LONG_MS, SHARDS)).filter((lease) => lease.shard === shard);

    expect(await outbox.remove([{ lease: old, events: [first!] }])).toEqual(new Set());
    expect(await outbox.deadLetter(old, first!, 'rejected')).toBe(false);
    expect(await outbox.read([{ shard, except: [] }], LIMITS)).toHaveLength(2);

    expect(await outbox.deadLetter(current!, first!, 'rejected')).toBe(true);
    await outbox.block(old, [second!]);
    expect(await database.query('select from outbox_blocked')).toHaveLength(0);
    await outbox.block(current!, [second!]);
    expect(await database.query('select from outbox_blocked')).toHaveLength(1);
    // A release that comes late does not take the shard from its new owner.
    await leases.release('old', [old]);
    expect((await leases.renew('new', LONG_MS)).owned).toContainEqual(current);
  });

  test('let nothing be removed or dead-lettered that has the position of another event', async () => {
    const writer = new OutboxWriter(database);
    await writer.write(['acc-1']);
    const shard = shardOf('acc-1', SHARDS);
    const lease = (await leases.claim('worker', LONG_MS, SHARDS)).find((each) => each.shard === shard)!;
    const [sent] = await outbox.read([{ shard, except: [] }], LIMITS);
    // As after a failover that lost this event: the next one is given its position.
    await database.query('update outbox set id = gen_random_uuid()');

    expect(await outbox.remove([{ lease, events: [sent!] }])).toEqual(new Set([shard]));
    await outbox.deadLetter(lease, sent!, 'rejected');
    expect(await database.query('select from outbox_dead_letters')).toEqual([]);
    const [other] = await outbox.read([{ shard, except: [sent!.uuid] }], LIMITS);
    expect(other!.position).toBe(sent!.position);
    await outbox.remove([{ lease, events: [other!] }]);
    expect(await database.query('select from outbox')).toEqual([]);
  });

  test('are shared evenly, whatever the number of workers', () => {
    for (let count = 1; count <= SHARDS + 2; count++) {
      const workers = Array.from({ length: count }, (_, index) => `worker-${index}`);
      const shares = workers.map((worker) => fairShare({ shards: SHARDS, workers }, worker));
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(SHARDS);
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
    }
  });

  test('rebalance by polling alone when workers join', async () => {
    const topic = await createTopic();
    const one = createRelay(database, topic);
    const two = createRelay(database, topic);
    await one.relay.runOnce();
    await two.relay.runOnce();
    await one.relay.runOnce();
    await expect.poll(() => database.query('select from outbox_shards where owner is null')).toHaveLength(SHARDS / 2);
    await two.relay.runOnce();
    const owners = await database.query<{ owner: string; n: number }>(
      'select owner, count(*)::int as n from outbox_shards group by owner order by owner',
    );
    expect(owners).toEqual([one, two].map(({ workerId }) => ({ owner: workerId, n: 8 })).sort(byOwner));
    for (const { relay, close } of [one, two]) {
      await relay.stop(1_000);
      await close();
    }
  });
});

function byOwner(one: { owner: string }, other: { owner: string }): number {
  return one.owner < other.owner ? -1 : 1;
}
