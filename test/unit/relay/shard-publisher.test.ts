import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { relayMetrics } from '../../../src/relay/metrics.ts';
import { EventRejectedError, type PendingEvent } from '../../../src/relay/ports.ts';
import { ShardPublisher, type ShardPublisherServices } from '../../../src/relay/shard-publisher.ts';

const LEASE = { shard: 3, epoch: 1n };
const PAGE = 4;

function event(position: number): PendingEvent {
  return {
    shard: LEASE.shard,
    position: BigInt(position),
    eventId: `event-${position}`,
    uuid: `uuid-${position}`,
    key: `key-${position % 3}`,
    type: 'payment.authorized.v1',
    payload: '{}',
    headers: {},
    createdAt: new Date(0),
    blocked: false,
  };
}

/** A shard's outbox and partition in memory, where reading takes far longer than all else. */
function slowlyRead(count: number, publish: (events: readonly PendingEvent[]) => void) {
  let left = Array.from({ length: count }, (_, position) => event(position));
  const reads = { underWay: 0, most: 0 };
  const delivered: bigint[] = [];
  const log = { debug: () => 0, info: () => 0, warn: () => 0, error: () => 0 };
  const services: ShardPublisherServices = {
    statements: {
      async read(_shard, except) {
        reads.underWay += 1;
        reads.most = Math.max(reads.most, reads.underWay);
        const events = left.filter(({ uuid }) => !except.includes(uuid)).slice(0, PAGE);
        await sleep(30);
        reads.underWay -= 1;
        return { events, full: events.length === PAGE };
      },
      async remove(_lease, removed) {
        left = left.filter(({ uuid }) => !removed.some((each) => each.uuid === uuid));
        return true;
      },
    },
    outbox: {
      async deadLetter(_lease, dead) {
        left = left.filter(({ position }) => position !== dead.position);
        return true;
      },
      block: async () => undefined,
    },
    publisher: {
      async publish(_shard, events) {
        publish(events);
        delivered.push(...events.map(({ position }) => position));
      },
      ping: async () => undefined,
      close: async () => undefined,
    },
    leasesRun: () => true,
    metrics: relayMetrics(new Registry()),
    log,
  };
  return { services, reads, delivered };
}

test('has no read of the last pass under way when the next begins, after an event was rejected', async () => {
  const { services, reads, delivered } = slowlyRead(20, (events) => {
    if (events.some(({ position }) => position === 5n)) throw new EventRejectedError('too large');
  });
  await new ShardPublisher(LEASE, services).drain();
  expect(delivered).toEqual(Array.from({ length: 20 }, (_, n) => BigInt(n)).filter((position) => position !== 5n));
  expect(reads.most).toBe(1);
});

test('has no read of the last pass under way when it tries again, after a send failed', async () => {
  let failures = 1;
  const { services, reads, delivered } = slowlyRead(20, () => {
    if (failures-- > 0) throw new Error('not the leader');
  });
  const publisher = new ShardPublisher(LEASE, services);
  expect(await publisher.drain()).toBe(0);
  expect(reads.underWay).toBe(0);
  await expect.poll(() => publisher.drain()).toBe(20);
  expect(delivered).toEqual(Array.from({ length: 20 }, (_, n) => BigInt(n)));
  expect(reads.most).toBe(1);
});
