import { shardOf } from '../domain/shard.ts';
import { lowestUlid, timeOfUlid } from '../ulid.ts';
import { SoughtEvents } from './match-events.ts';
import type { AuditedEvents, AuditPosition, AuditStep, EventLog } from './ports.ts';
import { CLOCK_SLACK_MS, isProvable, retainedSince, retainedWhileRead } from './retention.ts';
import { UnmatchedRecords } from './unmatched-records.ts';

export interface AuditSources {
  readonly events: AuditedEvents;
  readonly log: EventLog;
}

/** How long the very first event may have been pending. */
const FIRST_SENT_WITHIN_MS = 60 * 60_000;
/** Payments and changes of accounts in memory at a time. */
export const PAGE_SIZE = 20_000;
const HIGHEST_ID = '7ZZZZZZZZZZZZZZZZZZZZZZZZZ';

/** Everything from a time on, or from where the topic has it. Throws if Postgres or Kafka are unreachable. */
export async function positionAt({ events, log }: AuditSources, timeMs: number): Promise<AuditPosition> {
  const auditedTo = lowestUlid(timeMs);
  const located = await log.locate(timeMs - CLOCK_SLACK_MS);
  const [first] = await events.page(auditedTo, HIGHEST_ID, 1);
  const whole = first === undefined || (await reachesBackTo(log, timeOfUlid(first.eventId)));
  return {
    topic: log.topic,
    auditedTo,
    partitions: located.map((partition) => ({
      offset: partition.offset,
      // Nothing was ever removed, if the topic is the one that had the events from the first.
      retainedSinceMs: partition.begin === 0n && whole ? 0 : retainedSince(partition, timeMs),
    })),
  };
}

/** Whether anything on the topic is as old as that: what was made later, or is another topic, has not had those events. */
async function reachesBackTo(log: EventLog, timeMs: number): Promise<boolean> {
  const located = await log.locate(timeMs + FIRST_SENT_WITHIN_MS);
  return located.some(({ begin, offset }) => offset > begin);
}

/**
 * Looks for the events of the next payments and account changes, up to an id and up to a
 * limit, and for records on the way that belong to none. Reads each partition until all are
 * found and the next page's place is reached, or what was sent after the last page's
 * time; else to its end as it is after the payments were read: a payment whose event is
 * neither there nor in the outbox has none.
 */
export async function auditPage(
  { events, log }: AuditSources,
  position: AuditPosition,
  toId: string,
  limit: number,
  signal: AbortSignal,
  readFrom: readonly bigint[] = position.partitions.map(({ offset }) => offset),
): Promise<AuditStep> {
  const takenAtMs = (await events.now()).getTime();
  const page = await events.page(position.auditedTo, toId, limit);
  const more = page.length === limit;
  const auditedTo = more ? page.at(-1)!.eventId : toId;
  const next = await log.locate(timeOfUlid(auditedTo) - CLOCK_SLACK_MS);
  // Of the last page, or it would be chance which orphaned records are seen.
  const until = more ? next : await log.locate(timeOfUlid(auditedTo) + CLOCK_SLACK_MS);

  const sought = new SoughtEvents(page, position.partitions.length, ({ eventId, key }) => {
    const sinceMs = position.partitions[shardOf(key, position.partitions.length)]?.retainedSinceMs;
    // The time itself allows for clocks: what is within that may still be retained.
    return sinceMs === undefined || timeOfUlid(eventId) >= sinceMs - 2 * CLOCK_SLACK_MS;
  });
  const unmatched = new UnmatchedRecords(page, auditedTo, events);
  const firstSentAtMs: (number | undefined)[] = [];
  const firstLater: (bigint | undefined)[] = [];
  const read = await log.read(
    readFrom,
    async (records) => {
      for (const { partition, offset, sentAtMs, eventId } of records) {
        firstSentAtMs[partition] ??= sentAtMs;
        if (eventId > auditedTo) firstLater[partition] ??= offset;
      }
      sought.strikeOut(records);
      await unmatched.note(records);
    },
    (reached) => sought.left.size === 0 && reached.every((offset, partition) => offset >= until[partition]!.offset),
    signal,
  );
  const retained = position.partitions.map(({ retainedSinceMs }, partition) =>
    retainedWhileRead({
      retainedSinceMs,
      readFrom: readFrom[partition]!,
      begin: read[partition]!.begin,
      firstSentAtMs: firstSentAtMs[partition],
      notFoundAtMs: sought.left.size > 0 ? takenAtMs : undefined,
    }),
  );
  const missing = [...sought.left.keys()].filter((id) => isProvable(id, sought.left.get(id)!, retained));
  return {
    position: {
      topic: log.topic,
      auditedTo,
      partitions: next.map((located, partition) => ({
        offset: located.offset,
        retainedSinceMs:
          retained[partition] ?? (located.begin === 0n ? undefined : retainedSince(located, timeOfUlid(auditedTo))),
      })),
    },
    paymentsAudited: page.length,
    pending: [...sought.pending],
    missing,
    unverifiable: sought.left.size - missing.length + sought.tooOld.size,
    orphaned: [...(await unmatched.orphaned()), ...sought.mismatched],
    more,
    // An id from the future, in a record that is none of ours, must not keep this from advancing.
    readFrom: next.map(({ offset }, partition) => max(offset, firstLater[partition] ?? read[partition]!.reached)),
  };
}

export interface AuditTotals {
  readonly paymentsAudited: number;
  readonly pending: number;
  readonly missing: readonly string[];
  readonly unverifiable: number;
  readonly orphaned: readonly string[];
}

/** Audits the events of a time, keeping no record. Throws if Postgres or Kafka are unreachable. */
export async function auditEvents(
  sources: AuditSources,
  from: Date,
  to: Date,
  onProgress: (totals: AuditTotals) => void,
  pageSize = PAGE_SIZE,
): Promise<AuditTotals> {
  const toId = lowestUlid(to.getTime());
  let position = await positionAt(sources, from.getTime());
  let totals: AuditTotals = { paymentsAudited: 0, pending: 0, missing: [], unverifiable: 0, orphaned: [] };
  let readFrom: readonly bigint[] | undefined;
  for (let more = position.auditedTo < toId; more; ) {
    const step = await auditPage(sources, position, toId, pageSize, new AbortController().signal, readFrom);
    totals = {
      paymentsAudited: totals.paymentsAudited + step.paymentsAudited,
      pending: totals.pending + step.pending.length,
      missing: [...totals.missing, ...step.missing],
      unverifiable: totals.unverifiable + step.unverifiable,
      // Pages overlap in what they read.
      orphaned: [...new Set([...totals.orphaned, ...step.orphaned])],
    };
    onProgress(totals);
    ({ position, more, readFrom } = step);
  }
  return totals;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
