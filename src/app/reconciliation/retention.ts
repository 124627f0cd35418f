import { shardOf } from '../domain/shard.ts';
import { timeOfUlid } from '../ulid.ts';
import type { LocatedPartition } from './ports.ts';

/**
 * How far the clocks of API, relay and database may be apart. An event is never sent
 * before its payment is made, so it is looked for from then on, less this.
 */
export const CLOCK_SLACK_MS = 5 * 60_000;

/** What a reading of a partition showed. */
export interface PartitionReading {
  /** What was known before. */
  readonly retainedSinceMs: number | undefined;
  readonly readFrom: bigint;
  /** The first record that was left afterwards. */
  readonly begin: bigint;
  readonly firstSentAtMs: number | undefined;
  /** When the payments were read whose events are not there; undefined if all were found. */
  readonly notFoundAtMs: number | undefined;
}

/** From when on a partition still had everything while it was read; undefined is not known. */
export function retainedWhileRead(reading: PartitionReading): number | undefined {
  const { retainedSinceMs, readFrom, begin, firstSentAtMs, notFoundAtMs } = reading;
  if (begin <= readFrom && retainedSinceMs !== undefined) return retainedSinceMs;
  // What is left of the partition begins with the first record that was read. Where
  // all was read and nothing was there, nothing is known of what was sent before.
  const sinceMs = firstSentAtMs ?? notFoundAtMs;
  return sinceMs === undefined ? undefined : sinceMs + CLOCK_SLACK_MS;
}

/** From when on a partition that has lost records retains everything, if it was located at that time. */
export function retainedSince({ begin, offset }: LocatedPartition, timeMs: number): number | undefined {
  // What is left begins with records from before that time.
  return offset > begin ? timeMs : undefined;
}

/** Whether the event of a payment would still be on the topic, had it been sent. */
export function isProvable(paymentId: string, payer: string, retained: readonly (number | undefined)[]): boolean {
  return timeOfUlid(paymentId) >= (retained[shardOf(payer, retained.length)] ?? Number.POSITIVE_INFINITY);
}
