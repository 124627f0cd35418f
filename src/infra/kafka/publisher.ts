import type { Kafka, Producer } from 'kafkajs';
import { type EventPublisher, EventRejectedError, type Logger, type PendingEvent } from '../../relay/ports.ts';
import { withAdmin } from './client.ts';
import { cloudEvent } from './cloud-event.ts';
import { sendEncoded } from './encoded-batch.ts';
import { toPublishError } from './errors.ts';

export interface PublisherSettings {
  readonly topic: string;
  /** How long a broker may wait for its replicas before it answers. */
  readonly ackTimeoutMs: number;
  /** Sends that failed for this long without one success mean that the producer itself is broken. */
  readonly rebuildAfterMs: number;
}

/** An answer to a send that is no older than this saves asking. */
const RECENT_MS = 5_000;

/**
 * Publishes with kafkajs, with care for what it is known to do:
 *
 * - A send over two leaders can resolve although one of them lost its part, so each
 *   send has one partition, and counts only when the answer names that partition.
 * - Its retries are off. One attempt is one request; the caller repeats it, and sees
 *   each failure.
 * - After long outages its producer may not reconnect, so it is replaced when
 *   nothing has succeeded for a while.
 */
export class KafkaPublisher implements EventPublisher {
  readonly #kafka: Kafka;
  readonly #settings: PublisherSettings;
  readonly #log: Logger;
  #producer: Promise<Producer> | undefined;
  #failingSinceMs: number | undefined;
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(kafka: Kafka, settings: PublisherSettings, log: Logger) {
    this.#kafka = kafka;
    this.#settings = settings;
    this.#log = log;
  }

  async publish(shard: number, events: readonly PendingEvent[]): Promise<void> {
    const { topic, ackTimeoutMs } = this.#settings;
    try {
      const producer = await this.#connected();
      const answers = await sendEncoded(shard, events.map(cloudEvent), (standIns) =>
        producer.send({ topic, ...standIns, acks: -1, timeout: ackTimeoutMs }),
      );
      if (!answers.some((answer) => answer?.partition === shard && answer.errorCode === 0)) {
        throw new Error(`Kafka's answer does not name partition ${shard}: ${JSON.stringify(answers)}`);
      }
      this.#answered();
    } catch (error) {
      const failure = toPublishError(error);
      if (failure instanceof EventRejectedError) this.#answered();
      else this.#unanswered();
      throw failure;
    }
  }

  async ping(): Promise<void> {
    if (performance.now() - this.#answeredAtMs < RECENT_MS) return;
    await withAdmin(this.#kafka, (admin) => admin.fetchTopicMetadata({ topics: [this.#settings.topic] }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    const producer = this.#producer;
    this.#producer = undefined;
    await (await producer)?.disconnect();
  }

  #connected(): Promise<Producer> {
    if (this.#closed) return Promise.reject(new Error('The publisher is closed'));
    if (this.#producer === undefined) {
      const connecting = this.#connect();
      connecting.catch(() => {
        // It may have been replaced meanwhile, and its successor must not be forgotten.
        if (this.#producer === connecting) this.#producer = undefined;
      });
      this.#producer = connecting;
    }
    return this.#producer;
  }

  async #connect(): Promise<Producer> {
    const producer = this.#kafka.producer({
      allowAutoTopicCreation: false,
      retry: { retries: 0 },
      createPartitioner:
        () =>
        ({ message }) =>
          message.partition!,
    });
    await producer.connect();
    return producer;
  }

  #answered(): void {
    this.#answeredAtMs = performance.now();
    this.#failingSinceMs = undefined;
  }

  #unanswered(): void {
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
      .then((producer) => producer.disconnect())
      .catch((error: unknown) => this.#log.debug({ err: error }, 'the replaced Kafka producer did not disconnect'));
  }
}
