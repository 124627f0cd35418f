import type { MessageToProduce } from '@platformatic/kafka';
import type { Outage } from '../../app/outage.ts';
import { type EventPublisher, EventRejectedError, type Logger, type PendingEvent } from '../../relay/ports.ts';
import { kafkaOutage } from '../outages.ts';
import type { KafkaSettings } from './client.ts';
import { cloudEvent, type KafkaRecord } from './cloud-event.ts';
import { toPublishError } from './errors.ts';
import { type Bytes, type BytesProducer, createProducer } from './producer.ts';

export interface PublisherSettings {
  readonly topic: string;
  /** ce_source. */
  readonly source: string;
  /** How long a broker may wait for its replicas before it answers. */
  readonly ackTimeoutMs: number;
  /** Sends that failed for this long without one success mean that the producer itself is broken. */
  readonly rebuildAfterMs: number;
}

/** An answer to a send that is no older than this saves asking. */
const RECENT_MS = 5_000;
/** Of payloads. Below this, compressing costs more than it saves. */
const COMPRESS_FROM_BYTES = 8_192;

/**
 * Publishes with @platformatic/kafka, which encodes a batch in a fraction of the time
 * and memory that kafkajs takes (docs/adr/0007-sending-with-a-client-of-its-own.md).
 *
 * - One send is one partition, one batch and one request: the client's retries are off.
 *   The caller repeats a send, and sees each failure.
 * - A send counts only when the answer names its partition.
 * - What the client knows of leaders is forgotten at each failure, as it is asked for
 *   anew only when it is old or when the client itself tries again.
 * - When nothing has succeeded for a while the producer is replaced, connections and all.
 */
export class KafkaPublisher implements EventPublisher {
  readonly #connection: KafkaSettings;
  readonly #settings: PublisherSettings;
  readonly #log: Logger;
  readonly #outage: Outage;
  #producer: BytesProducer | undefined;
  #failingSinceMs: number | undefined;
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(connection: KafkaSettings, settings: PublisherSettings, log: Logger) {
    this.#connection = connection;
    this.#settings = settings;
    this.#log = log;
    this.#outage = kafkaOutage(log);
  }

  async publish(shard: number, events: readonly PendingEvent[]): Promise<void> {
    const { topic, source } = this.#settings;
    const producer = this.#current();
    try {
      // The client takes a partition that the topic does not have modulo their number.
      const { topics } = await producer.metadata({ topics: [topic] });
      const partitions = topics.get(topic)?.partitionsCount ?? 0;
      if (shard >= partitions)
        throw new Error(`Topic ${topic} has ${partitions} partitions and none for shard ${shard}`);
      const compression = sizeOf(events) < COMPRESS_FROM_BYTES ? 'none' : 'gzip';
      const messages = events.map((event) => message(topic, shard, cloudEvent(event, source)));
      const { offsets = [] } = await producer.send({ messages, acks: -1, compression });
      if (!offsets.some((written) => written.topic === topic && written.partition === shard)) {
        throw new Error(
          `Kafka's answer does not name partition ${shard}: ${offsets.map(({ partition }) => partition)}`,
        );
      }
      this.#answered();
    } catch (error) {
      const failure = toPublishError(error);
      if (failure instanceof EventRejectedError) this.#answered();
      else this.#unanswered(producer, error);
      throw failure;
    }
  }

  async ping(): Promise<void> {
    if (performance.now() - this.#answeredAtMs < RECENT_MS) return;
    await this.#current().metadata({ topics: [this.#settings.topic], forceUpdate: true });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const producer = this.#producer;
    this.#producer = undefined;
    await producer?.close();
  }

  #current(): BytesProducer {
    if (this.#closed) throw new Error('The publisher is closed');
    this.#producer ??= createProducer(this.#connection, this.#settings);
    return this.#producer;
  }

  #answered(): void {
    this.#answeredAtMs = performance.now();
    this.#failingSinceMs = undefined;
    this.#outage.succeeded();
  }

  #unanswered(producer: BytesProducer, error: unknown): void {
    this.#outage.failed(error);
    producer.clearMetadata();
    const nowMs = performance.now();
    this.#failingSinceMs ??= nowMs;
    if (nowMs - this.#failingSinceMs < this.#settings.rebuildAfterMs) return;
    this.#failingSinceMs = nowMs;
    const broken = this.#producer;
    this.#producer = undefined;
    if (broken === undefined) return;
    this.#log.warn({ failingMs: this.#settings.rebuildAfterMs }, 'no send succeeds: replacing the Kafka producer');
    // What it still has in flight fails, and is sent again by the new one.
    broken
      .close()
      .catch((error: unknown) => this.#log.debug({ err: error }, 'the replaced Kafka producer did not close'));
  }
}

function sizeOf(events: readonly PendingEvent[]): number {
  return events.reduce((sum, { payload }) => sum + payload.length, 0);
}

function message(
  topic: string,
  partition: number,
  { key, value, headers }: KafkaRecord,
): MessageToProduce<Bytes, Bytes, Bytes, Bytes> {
  const encoded = new Map<Bytes, Bytes>();
  for (const name of Object.keys(headers)) encoded.set(bytesOf(name), bytesOf(headers[name]!));
  return { topic, partition, key: Buffer.from(key), value: Buffer.from(value), headers: encoded };
}

/** Names and values that most events have in common. Encoding them each time takes the relay 50 MB more. */
const COMMON = new Map(
  [
    ...['ce_specversion', 'ce_id', 'ce_type', 'ce_source', 'ce_time', 'content-type', 'ce_subject', 'traceparent'],
    ...['tracestate', '1.0', 'payment.authorized.v1', 'payment.declined.v1', '/payment-ledger', 'application/json'],
  ].map((text) => [text, Buffer.from(text)]),
);

function bytesOf(text: string): Bytes {
  return COMMON.get(text) ?? Buffer.from(text);
}
