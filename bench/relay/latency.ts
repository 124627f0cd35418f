import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { OUTBOX_CHANNEL } from '../../src/infra/redis/channels.ts';
import { type BenchDatabase, connect } from '../database.ts';
import { Histogram } from '../load/histogram.ts';
import { rounded } from '../statistics.ts';
import { Child } from './child.ts';
import type { Arrivals } from './consumer.ts';
import { append, eventOf } from './events.ts';

export interface LatencyJob {
  readonly database: BenchDatabase;
  readonly redisUrl: string;
  readonly brokers: string;
  readonly topic: string;
  readonly perSecond: number;
  readonly warmUpMs: number;
  readonly durationMs: number;
}

export interface Latency {
  readonly perSecond: number;
  readonly events: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Transactions at the same time; a commit that takes its time must not hold up those that are due. */
const CONNECTIONS = 4;
const ARRIVES_WITHIN_MS = 20_000;

/**
 * From COMMIT's answer to the consumer's handler, at a fixed rate, with one transaction
 * and one hint for each event. The consumer is a process of its own.
 */
export async function measureLatency(job: LatencyJob): Promise<Latency> {
  const redis = new Redis(job.redisUrl);
  const consumer = new Child<object, Arrivals>('consumer.ts', [job.brokers, job.topic]);
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => connect(job.database.url)));
  try {
    await arrivals(consumer, 0, ARRIVES_WITHIN_MS);
    const write = async (n: number, durationMs: number) => {
      const committed = await writeAtRate(clients, redis, job.perSecond, durationMs, n);
      const seen = await arrivals(consumer, committed.size, ARRIVES_WITHIN_MS);
      return { committed, seen };
    };
    await write(0, job.warmUpMs);
    const { committed, seen } = await write(1_000_000, job.durationMs);
    return summary(committed, seen, job.durationMs);
  } finally {
    await consumer.stop();
    redis.disconnect();
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** When each event was committed. */
async function writeAtRate(
  clients: readonly Awaited<ReturnType<typeof connect>>[],
  redis: Redis,
  perSecond: number,
  durationMs: number,
  first: number,
): Promise<Map<string, number>> {
  const committed = new Map<string, number>();
  const startedMs = performance.now();
  const count = Math.floor((durationMs / 1_000) * perSecond);
  let next = 0;
  const writer = async (client: Awaited<ReturnType<typeof connect>>) => {
    while (next < count) {
      const n = next++;
      const dueInMs = startedMs + (n / perSecond) * 1_000 - performance.now();
      if (dueInMs > 0) await sleep(dueInMs);
      const event = eventOf(first + n);
      await append({ client }, [event]);
      committed.set(event.eventId, performance.timeOrigin + performance.now());
      await redis.publish(OUTBOX_CHANNEL, '');
    }
  };
  await Promise.all(clients.map(writer));
  return committed;
}

/** Waits for so many events to arrive. */
async function arrivals(
  consumer: Child<object, Arrivals>,
  count: number,
  withinMs: number,
): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  const deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await consumer.ask({});
    // What comes twice counts by its first delivery.
    for (const [eventId, atMs] of answer.seen) if (!seen.has(eventId)) seen.set(eventId, atMs);
    if (seen.size >= count) return seen;
    if (performance.now() > deadline) throw new Error(`Only ${seen.size} of ${count} events reached the consumer`);
    await sleep(100);
  }
}

function summary(committed: Map<string, number>, seen: Map<string, number>, durationMs: number): Latency {
  const histogram = new Histogram();
  let maxMs = 0;
  for (const [eventId, committedMs] of committed) {
    const arrivedMs = seen.get(eventId);
    if (arrivedMs === undefined) throw new Error(`Event ${eventId} did not reach the consumer`);
    // The writer may hear of its commit after the relay has read the row.
    const latencyMs = Math.max(0, arrivedMs - committedMs);
    histogram.record(latencyMs);
    maxMs = Math.max(maxMs, latencyMs);
  }
  return {
    perSecond: rounded((committed.size / durationMs) * 1_000),
    events: committed.size,
    p50Ms: rounded(histogram.quantileMs(0.5)),
    p90Ms: rounded(histogram.quantileMs(0.9)),
    p99Ms: rounded(histogram.quantileMs(0.99)),
    maxMs: rounded(maxMs),
  };
}
