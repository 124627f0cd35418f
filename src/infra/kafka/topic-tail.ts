import { randomUUID } from 'node:crypto';
import type { Consumer, Kafka, KafkaMessage } from 'kafkajs';
import { withAdmin } from './client.ts';

/** A record as it is on the topic. */
export interface TopicRecord {
  readonly partition: number;
  readonly offset: bigint;
  readonly sentAt: Date;
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: string;
}

export type TailStart = 'NOW' | 'BEGINNING' | Date;

/**
 * Hands over the records of a topic, those of a partition in order, from a place on and
 * until the signal; or until where the topic ends now. As kafkajs reads only in a
 * consumer group, it has one of its own, which commits no offsets and is deleted at the end.
 */
export async function tailTopic(
  kafka: Kafka,
  topic: string,
  { start, untilEnd }: { readonly start: TailStart; readonly untilEnd: boolean },
  onRecord: (record: TopicRecord) => void,
  signal: AbortSignal,
): Promise<void> {
  const places = await findPlaces(kafka, topic, start);
  const isOver = () => untilEnd && places.every(({ next, end }) => next >= end);
  if (isOver() || signal.aborted) return;
  const groupId = `payment-ledger-tail-${randomUUID()}`;
  const consumer = kafka.consumer({ groupId, allowAutoTopicCreation: false, maxWaitTimeInMs: 500 });
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consume(consumer, topic, places, isOver, onRecord, signal);
  } finally {
    await consumer.disconnect();
    // Where this fails the broker deletes it later.
    await withAdmin(kafka, (admin) => admin.deleteGroups([groupId])).catch(() => undefined);
  }
}

/** Where reading goes on in a partition, and where the partition ended at the start. */
interface Place {
  readonly partition: number;
  readonly end: bigint;
  next: bigint;
}

function findPlaces(kafka: Kafka, topic: string, start: TailStart): Promise<Place[]> {
  return withAdmin(kafka, async (admin) => {
    const edges = await admin.fetchTopicOffsets(topic);
    const atTime = start instanceof Date ? await admin.fetchTopicOffsetsByTimestamp(topic, start.getTime()) : [];
    return edges.map(({ partition, low, high }) => {
      const found = atTime.find((each) => each.partition === partition)?.offset;
      const next = start === 'NOW' ? high : start === 'BEGINNING' ? low : (found ?? high);
      return { partition, end: BigInt(high), next: BigInt(next) };
    });
  });
}

async function consume(
  consumer: Consumer,
  topic: string,
  places: readonly Place[],
  isOver: () => boolean,
  onRecord: (record: TopicRecord) => void,
  signal: AbortSignal,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve());
  consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
    if (!restart) reject(error);
  });
  // Before the first fetch of each joining: a group that commits no offsets begins at the topic's beginning.
  consumer.on(consumer.events.GROUP_JOIN, () => {
    for (const { partition, next } of places) consumer.seek({ topic, partition, offset: String(next) });
  });
  const running = consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      const place = places.find(({ partition }) => partition === batch.partition);
      if (place === undefined) return;
      for (const message of batch.messages) {
        // A compressed batch comes whole: what lies before the place is left out.
        if (signal.aborted || BigInt(message.offset) < place.next) continue;
        onRecord(toRecord(batch.partition, message));
      }
      place.next = BigInt(batch.lastOffset()) + 1n;
      if (isOver()) resolve();
    },
  });
  running.catch(reject);
  await promise;
}

function toRecord(partition: number, { offset, timestamp, key, headers, value }: KafkaMessage): TopicRecord {
  return {
    partition,
    offset: BigInt(offset),
    sentAt: new Date(Number(timestamp)),
    key: String(key ?? ''),
    headers: Object.fromEntries(Object.entries(headers ?? {}).map(([name, text]) => [name, String(text)])),
    value: String(value ?? ''),
  };
}
