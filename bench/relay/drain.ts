import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { OUTBOX_CHANNEL } from '../../src/infra/redis/channels.ts';
import type { BenchDatabase } from '../database.ts';
import type { Environment } from '../environment.ts';
import { residentBytes } from '../process-stats.ts';
import type { ServiceProcess } from '../service-process.ts';
import { fill, isEmpty, SHARDS } from './events.ts';

/** Workers that share an outbox and a topic of their own. */
export interface Workers {
  readonly database: BenchDatabase;
  readonly topic: string;
  readonly processes: readonly ServiceProcess[];
}

export interface Drained {
  readonly perSecond: number;
  /** Of the first and of the last third of the events, by how many were left over time; NaN if it was too quick to tell. */
  readonly firstThirdPerSecond: number;
  readonly lastThirdPerSecond: number;
  /** The most memory that any of the workers had, in bytes; NaN where the system does not tell. */
  readonly peakBytes: number;
}

/** Starts workers on a new database and topic; resolves when each has its share of the shards. */
export async function startWorkers(environment: Environment, name: string, count: number): Promise<Workers> {
  const database = await environment.database(name);
  const topic = `bench.${name}.${process.pid}`;
  const processes: ServiceProcess[] = [];
  for (let n = 1; n <= count; n++) {
    processes.push(await environment.relay(`${name}-${n}`, database, { KAFKA_TOPIC: topic }));
  }
  for (;;) {
    const { rows } = await database.client.query<{ shards: number }>(
      'select count(*)::int as shards from outbox_shards where owner is not null group by owner',
    );
    if (rows.length === count && rows.every(({ shards }) => shards === SHARDS / count)) break;
    await sleep(50);
  }
  return { database, topic, processes };
}

const LOOK_EVERY_MS = 25;

/** Lets the workers publish a backlog that appears at once, and times them from there until the outbox is empty. */
export async function drain({ database, processes }: Workers, redis: Redis, events: number): Promise<Drained> {
  await fill(database, events);
  const startedMs = performance.now();
  await redis.publish(OUTBOX_CHANNEL, '');
  const left: { readonly atMs: number; readonly count: number }[] = [{ atMs: 0, count: events }];
  let peakBytes = Number.NaN;
  let nextCountMs = 0;
  while (!(await isEmpty(database))) {
    const atMs = performance.now() - startedMs;
    for (const { pid } of processes) {
      const bytes = residentBytes(pid)?.now;
      if (bytes !== undefined && !(bytes <= peakBytes)) peakBytes = bytes;
    }
    // Counting takes Postgres a while: only now and then.
    if (atMs >= nextCountMs) {
      const { rows } = await database.client.query<{ count: number }>('select count(*)::int as count from outbox');
      left.push({ atMs: performance.now() - startedMs, count: rows[0]!.count });
      nextCountMs = atMs + 1_000;
    }
    await sleep(LOOK_EVERY_MS);
  }
  const durationMs = performance.now() - startedMs;
  left.push({ atMs: durationMs, count: 0 });
  const reached = (share: number) => left.find(({ count }) => count <= events * share)!;
  const speed = (from: { atMs: number; count: number }, to: { atMs: number; count: number }) =>
    ((from.count - to.count) / (to.atMs - from.atMs)) * 1_000;
  return {
    perSecond: (events / durationMs) * 1_000,
    firstThirdPerSecond: speed(left[0]!, reached(2 / 3)),
    lastThirdPerSecond: speed(reached(1 / 3), left.at(-1)!),
    peakBytes,
  };
}
