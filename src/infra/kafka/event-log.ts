import { randomUUID } from 'node:crypto';
import type { Admin, Consumer, EachBatchPayload, Kafka, KafkaMessage } from 'kafkajs';
import type { EventLog, LocatedPartition, SentEvent } from '../../app/reconciliation/ports.ts';
import { withAdmin } from './client.ts';
import { protocolErrorType } from './errors.ts';

/** Compressed: a few batches, which take far more memory once kafkajs has read them. A larger batch comes alone. */
const FETCH_BYTES = 2 ** 16;
/** A partition that has more to give and gives nothing for so long. */
const STALLED_MS = 60_000;
/**
 * What a group's coordinator answers while it is being elected or still loads what it
 * knows of its groups: after a broker's start, and when the first group of all is made.
 */
const NOT_READY = new Set(['GROUP_LOAD_IN_PROGRESS', 'GROUP_COORDINATOR_NOT_AVAILABLE', 'NOT_COORDINATOR_FOR_GROUP']);

/**
 * The topic as a reader that leaves nothing behind. kafkajs reads only as a member of a
 * consumer group, so each reading has a group of its own that commits no offset; it is
 * deleted at the end, and by the broker itself if the process dies before.
 */
export function kafkaEventLog(kafka: Kafka, topic: string): EventLog {
  return {
    topic,
    locate: (timeMs) => withAdmin(kafka, (admin) => locate(admin, topic, timeMs)),
    async read(from, onRecords, enough, signal) {
      const found = await withAdmin(kafka, (admin) => edges(admin, topic));
      // What retention has removed cannot be read: the reading begins at what is retained.
      const left = found.map(({ begin }, partition) => (begin > from[partition]! ? begin : from[partition]!));
      const ends = found.map(({ end }) => end);
      const reading = new Reading(left, ends, onRecords, enough);
      await reading.run(kafka, topic, signal);
      const afterwards = await withAdmin(kafka, (admin) => edges(admin, topic));
      return afterwards.map(({ begin }, partition) => ({ begin, reached: reading.reached[partition]! }));
    },
  };
}

async function locate(admin: Admin, topic: string, timeMs: number): Promise<LocatedPartition[]> {
  const found = byPartition(await admin.fetchTopicOffsetsByTimestamp(topic, Math.max(0, timeMs)));
  // Afterwards: if the record that was found is not the first one then, older ones are retained.
  return (await edges(admin, topic)).map((edge, partition) => ({ ...edge, offset: BigInt(found[partition]!.offset) }));
}

async function edges(admin: Admin, topic: string): Promise<{ begin: bigint; end: bigint }[]> {
  const offsets = byPartition(await admin.fetchTopicOffsets(topic));
  return offsets.map(({ low, high }) => ({ begin: BigInt(low), end: BigInt(high) }));
}

function byPartition<T extends { partition: number }>(answers: readonly T[]): T[] {
  return answers.toSorted((a, b) => a.partition - b.partition);
}

/** One reading of the topic, from the offsets on to the ends. */
class Reading {
  readonly #ends: readonly bigint[];
  readonly #onRecords: (records: readonly SentEvent[]) => Promise<void>;
  readonly #enough: (reached: readonly bigint[]) => boolean;
  /** By partition: one past the last record that was read. */
  readonly reached: bigint[];
  #movedAtMs = performance.now();
  #notReady: Error | undefined;

  constructor(
    from: readonly bigint[],
    ends: readonly bigint[],
    onRecords: (records: readonly SentEvent[]) => Promise<void>,
    enough: (reached: readonly bigint[]) => boolean,
  ) {
    this.#ends = ends;
    this.#onRecords = onRecords;
    this.#enough = enough;
    this.reached = [...from];
  }

  async run(kafka: Kafka, topic: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#over()) return;
    const groupId = `payment-ledger-audit-${topic}-${randomUUID()}`;
    const consumer = kafka.consumer({
      groupId,
      allowAutoTopicCreation: false,
      maxWaitTimeInMs: 200,
      maxBytes: FETCH_BYTES,
      maxBytesPerPartition: FETCH_BYTES,
    });
    try {
      await consumer.connect();
      // Where retention overtakes the reading, it goes on with what is retained.
      await consumer.subscribe({ topic, fromBeginning: true });
      await this.#consume(consumer, topic, signal);
    } finally {
      await consumer.disconnect();
      // Where this fails the broker deletes it later, and what was read is none the worse.
      await withAdmin(kafka, (admin) => admin.deleteGroups([groupId])).catch(() => undefined);
    }
  }

  #over(): boolean {
    return this.#enough(this.reached) || this.reached.every((offset, partition) => offset >= this.#ends[partition]!);
  }

  async #consume(consumer: Consumer, topic: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stop = () => reject(signal.reason);
    const watch = setInterval(() => {
      if (performance.now() - this.#movedAtMs > STALLED_MS) reject(this.#stalled(topic));
    }, 1_000);
    signal.addEventListener('abort', stop);
    consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
      // kafkajs gives up joining at the first such answer, and joins again by itself.
      if (restart && NOT_READY.has(protocolErrorType(error) ?? '')) this.#notReady = error;
      else reject(error);
    });
    // Before the first fetch of each joining: a group that commits no offsets begins at the topic's beginning.
    consumer.on(consumer.events.GROUP_JOIN, () => {
      this.reached.forEach((offset, partition) => {
        consumer.seek({ topic, partition, offset: String(offset) });
      });
    });
    try {
      const running = consumer.run({
        autoCommit: false,
        eachBatch: async (payload) => {
          try {
            await this.#take(payload);
            if (this.#over()) resolve();
          } catch (error) {
            reject(error);
          }
        },
      });
      running.catch(reject);
      await promise;
    } finally {
      clearInterval(watch);
      signal.removeEventListener('abort', stop);
    }
  }

  /** A compressed batch comes whole: what lies before the place is left out. */
  async #take({ batch }: EachBatchPayload): Promise<void> {
    const { partition, messages } = batch;
    this.#movedAtMs = performance.now();
    const reached = this.reached[partition]!;
    const records = messages.filter(({ offset }) => BigInt(offset) >= reached);
    if (records.length === 0) return;
    await this.#onRecords(records.map((message) => toSentEvent(partition, message)));
    this.reached[partition] = BigInt(batch.lastOffset()) + 1n;
  }

  #stalled(topic: string): Error {
    const left = this.#ends.flatMap((end, partition) => (this.reached[partition]! < end ? [partition] : []));
    const message = `Topic ${topic} could not be read to its end in partitions ${left.join(', ')}`;
    return new Error(message, { cause: this.#notReady });
  }
}

function toSentEvent(partition: number, { key, value, offset, timestamp, headers }: KafkaMessage): SentEvent {
  return {
    partition,
    offset: BigInt(offset),
    sentAtMs: Number(timestamp),
    eventId: String(headers?.['ce_id'] ?? ''),
    key: String(key ?? ''),
    type: String(headers?.['ce_type'] ?? ''),
    value: String(value ?? ''),
  };
}
