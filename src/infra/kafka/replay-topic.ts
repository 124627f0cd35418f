import { setTimeout as sleep } from 'node:timers/promises';
import { shardOf } from '../../app/domain/shard.ts';
import { type PastEvent, REPLAYED, type ReplayOutbox } from '../../app/replay.ts';
import { ulidToUuid } from '../../app/ulid.ts';
import { type EventPublisher, EventRejectedError, type PendingEvent } from '../../relay/ports.ts';

const ATTEMPTS = 5;
const PAUSE_MS = 1_000;
/** Of payloads in one send, as many as the relay sends. */
const BATCH_BYTES = 524_288;

/**
 * Another topic to replay into, past the outbox. The key chooses the partition as Kafka's
 * own partitioner does, whatever the number of partitions. A send is tried several times.
 */
export function topicForReplay(publisher: EventPublisher, partitions: number): ReplayOutbox {
  return {
    pending: async () => 0,
    async append(events) {
      for (const [partition, batch] of batches(events.map((event) => toPending(event, partitions)))) {
        await publish(publisher, partition, batch);
      }
    },
  };
}

/** By partition, in order, each within the size of a send. */
function batches(events: readonly PendingEvent[]): [partition: number, batch: PendingEvent[]][] {
  const result: [number, PendingEvent[]][] = [];
  const open = new Map<number, { batch: PendingEvent[]; bytes: number }>();
  for (const event of events) {
    const bytes = Buffer.byteLength(event.payload);
    let last = open.get(event.shard);
    if (last === undefined || last.bytes + bytes > BATCH_BYTES) {
      last = { batch: [], bytes: 0 };
      open.set(event.shard, last);
      result.push([event.shard, last.batch]);
    }
    last.batch.push(event);
    last.bytes += bytes;
  }
  return result;
}

async function publish(publisher: EventPublisher, partition: number, batch: readonly PendingEvent[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await publisher.publish(partition, batch);
      return;
    } catch (error) {
      if (attempt === ATTEMPTS || error instanceof EventRejectedError) throw error;
      await sleep(PAUSE_MS);
    }
  }
}

function toPending(event: PastEvent, partitions: number): PendingEvent {
  return {
    shard: shardOf(event.key, partitions),
    position: 0n,
    eventId: event.eventId,
    uuid: ulidToUuid(event.eventId),
    key: event.key,
    type: event.type,
    subject: event.subject,
    payload: JSON.stringify(event.payload),
    headers: REPLAYED,
    createdAt: event.createdAt,
    blocked: false,
  };
}
