import { shardOf } from '../domain/shard.ts';
import { lowestUlid, timeOfUlid } from '../ulid.ts';
import { type AuditSources, auditPage, PAGE_SIZE, positionAt } from './audit-events.ts';
import { SoughtEvents } from './match-events.ts';
import type { AuditPosition, AuditRecords, AuditStep } from './ports.ts';
import { CLOCK_SLACK_MS } from './retention.ts';

export interface AuditLimits {
  /** A payment's id has the time at which its call came in, by the clock of its replica; it commits later, but within this. */
  readonly committedWithinMs: number;
  /** Payments in memory. */
  readonly pageSize: number;
  /** So that other jobs have their turn. */
  readonly mostPages: number;
  /** With more pending events than this, no further payments are audited. */
  readonly mostPending: number;
}

export const AUDIT_LIMITS: AuditLimits = {
  committedWithinMs: 60 * 60_000,
  pageSize: PAGE_SIZE,
  mostPages: 50,
  mostPending: 200_000,
};

export interface AuditReport {
  readonly paymentsAudited: number;
  /** Steps of earlier audits that go beyond the present: a clock was wrong. */
  readonly rejected: number;
  /** Events that were passed and are still in the outbox, blocked or dead letters. */
  readonly pending: number;
  /** Payments without an event, those of earlier audits too; a few are named. */
  readonly missing: number;
  readonly missingIds: readonly string[];
  readonly unverifiable: number;
  readonly orphaned: readonly string[];
}

const MISSING_NAMED = 20;

/**
 * Audits the events of payments since the last audit, and looks again for those that
 * were not found then. Throws if Postgres or Kafka are unreachable, if the signal says
 * stop, or if another audit goes on from the same place and was faster: what was
 * recorded stands, and the next audit goes on from there.
 */
export async function auditLately(
  sources: AuditSources,
  records: AuditRecords,
  signal: AbortSignal,
  limits: AuditLimits = AUDIT_LIMITS,
): Promise<AuditReport> {
  const nowMs = (await sources.events.now()).getTime();
  const toId = lowestUlid(nowMs - limits.committedWithinMs);
  const rejected = await records.rejectFuture(lowestUlid(nowMs + CLOCK_SLACK_MS));
  let previous = await records.last();
  let position =
    previous === undefined ? await positionAt(sources, 0) : await resumed(sources, previous.position, nowMs);
  const intact = previous === undefined || position === previous.position;
  const steps: AuditStep[] = [];
  const unverifiableBefore = await followUp(sources, records, position, intact, limits.pageSize, signal);

  while (position.auditedTo < toId && steps.length < limits.mostPages) {
    if ((await records.countUnconfirmed()).pending > limits.mostPending) break;
    // Each page is compared with all that is in the outbox.
    if (await sources.events.morePending(limits.mostPending)) break;
    const step = await auditPage(sources, position, toId, limits.pageSize, signal, steps.at(-1)?.readFrom);
    previous = await records.add(step, previous);
    ({ position } = step);
    steps.push(step);
    if (!step.more) break;
  }
  return {
    ...(await records.countUnconfirmed()),
    missingIds: await records.missing(MISSING_NAMED),
    rejected,
    paymentsAudited: steps.reduce((sum, { paymentsAudited }) => sum + paymentsAudited, 0),
    unverifiable: steps.reduce((sum, { unverifiable }) => sum + unverifiable, unverifiableBefore),
    orphaned: [...new Set(steps.flatMap(({ orphaned }) => orphaned))],
  };
}

/**
 * The same position, or, if the topic is not the one it was, the same payments on what
 * is there now. A topic that was made anew under its name starts over at offset 0, so
 * the time of the position lies elsewhere on it.
 */
async function resumed({ log }: AuditSources, position: AuditPosition, nowMs: number): Promise<AuditPosition> {
  const located = await log.locate(timeOfUlid(position.auditedTo) - CLOCK_SLACK_MS);
  const same =
    position.topic === log.topic &&
    position.partitions.length === located.length &&
    position.partitions.every(({ offset }, partition) => {
      const now = located[partition]!;
      // Retention may have removed what was there, and only that.
      return offset === now.offset || offset < now.begin;
    });
  if (same) return position;
  // What was sent until now may have gone to the other topic.
  const retainedSinceMs = nowMs + CLOCK_SLACK_MS;
  const partitions = located.map(({ offset }) => ({ offset, retainedSinceMs }));
  return { topic: log.topic, auditedTo: position.auditedTo, partitions };
}

/**
 * Looks again for the events that earlier audits have passed. They have not been on
 * the topic up to its end of then, which lies beyond the position. Returns how many
 * can no longer be proven.
 */
async function followUp(
  { events, log }: AuditSources,
  records: AuditRecords,
  { partitions }: AuditPosition,
  intact: boolean,
  pageSize: number,
  signal: AbortSignal,
): Promise<number> {
  let unverifiable = 0;
  let after = lowestUlid(0);
  for (;;) {
    const page = await events.unconfirmed(after, pageSize);
    const sought = new SoughtEvents(page, partitions.length);
    const offsets = partitions.map(({ offset }) => offset);
    const read = await log.read(
      offsets,
      async (sent) => sought.strikeOut(sent),
      () => sought.left.size === 0,
      signal,
    );
    const missing = page
      .filter(({ eventId }) => sought.left.has(eventId))
      .filter(({ key, missing: known }) => {
        const shard = shardOf(key, partitions.length);
        // What was known to be missing is not forgotten because retention goes on.
        return known || (intact && read[shard]!.begin <= offsets[shard]!);
      })
      .map(({ eventId }) => eventId);
    unverifiable += sought.left.size - missing.length;
    const open = new Set(missing);
    const confirmed = page.filter(({ eventId, state }) => state !== 'PENDING' && !open.has(eventId));
    await records.confirm(
      confirmed.map(({ eventId }) => eventId),
      missing,
    );
    if (page.length < pageSize) return unverifiable;
    after = page.at(-1)!.eventId;
  }
}
