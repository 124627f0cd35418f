import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { consumeEvents } from '../../tools/events.ts';
import { disorder } from '../support/order.ts';
import { byKey, OutboxWriter, SHARDS } from '../support/relay.ts';
import { createSystem, type System } from '../support/system.ts';

const LEASE_MS = 3_000;
/** So long that a shard that changes hands before has been given back. */
const LONG_LEASE_MS = 600_000;

describe('relay workers as processes', () => {
  let system: System;
  beforeEach(async () => {
    system = await createSystem();
  });
  afterEach(() => system.close());

  const start = (leaseMs: number) => system.startRelay({ RELAY_LEASE_MS: String(leaseMs) });

  /** Shards of each owner, the smallest share first. */
  async function shares(): Promise<number[]> {
    const rows = await system.database.query<{ n: number }>(
      'select count(*)::int as n from outbox_shards where owner is not null and leased_until > now() group by owner order by n',
    );
    return rows.map(({ n }) => n);
  }

  async function untilShares(expected: number[]): Promise<number> {
    const since = performance.now();
    await expect.poll(shares, { interval: 10 }).toEqual(expected);
    return performance.now() - since;
  }

  test('hand over on SIGTERM, without waiting for the lease to end', async () => {
    const [leaving] = await Promise.all([start(LONG_LEASE_MS), start(LONG_LEASE_MS)]);
    await untilShares([8, 8]);
    const exited = leaving.stop('SIGTERM');
    const tookMs = await untilShares([SHARDS]);
    expect(await exited).toBe(0);
    console.info(`hand-over took ${Math.round(tookMs)} ms`);
  });

  test('take over from a killed one once its lease has ended', async () => {
    const [killed] = await Promise.all([start(LEASE_MS), start(LEASE_MS)]);
    await untilShares([8, 8]);
    await killed.stop('SIGKILL');
    const tookMs = await untilShares([SHARDS]);
    console.info(`take-over took ${Math.round(tookMs)} ms with a lease of ${LEASE_MS} ms`);
  });

  // Ten processes have to start and to end.
  test('scale from 1 to 8 to 2 under traffic without an error, a gap or a repeat', { timeout: 360_000 }, async () => {
    const writer = new OutboxWriter(system.database);
    const keys = Array.from({ length: 100 }, (_, index) => `acc-${index}`);
    // With the default lease: eight processes that start at once on a small machine may keep each other waiting.
    const startDefault = () => system.startRelay();
    const workers = [await startDefault()];
    let writing = true;
    const traffic = (async () => {
      while (writing) {
        await writer.write(keys);
        await new Promise((resume) => setTimeout(resume, 50));
      }
    })();
    const leaving: typeof workers = [];
    try {
      workers.push(...(await Promise.all(Array.from({ length: 7 }, startDefault))));
      await untilShares([2, 2, 2, 2, 2, 2, 2, 2]);
      leaving.push(...workers.splice(2));
      await Promise.all(leaving.map((worker) => worker.stop('SIGTERM')));
      await untilShares([8, 8]);
    } finally {
      writing = false;
      await traffic;
    }
    await expect.poll(() => system.database.query('select from outbox')).toHaveLength(0);

    for (const { log } of [...workers, ...leaving]) {
      const complaints = log.filter((line) => /"level":"(warn|error|fatal)"/.test(line));
      // Reconciliation, which happens to be due, rightly reports events that the writer made without
      // payments, and on a busy machine it may get no connection in time.
      const ofJobs = /a pending event belongs to no payment|a job failed/;
      expect(complaints.filter((line) => !ofJobs.test(line))).toEqual([]);
    }
    const consumer = await consumeEvents(inject('kafkaBrokers'), system.topic);
    await consumer.until((events) => events.length >= writer.written.length);
    await consumer.close();
    expect(disorder(consumer.events)).toEqual([]);
    expect(byKey(consumer.events)).toEqual(byKey(writer.written));
  });
});
