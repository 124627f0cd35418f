import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin, ITopicConfig, Kafka } from 'kafkajs';
import { withAdmin } from './client.ts';
import { protocolErrorType } from './errors.ts';

const READY_WITHIN_MS = 30_000;
/** What brokers answer for a topic that they have not, or not wholly, heard of yet. */
const NOT_YET = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE', 'NOT_LEADER_FOR_PARTITION']);

export interface TopicSettings {
  readonly topic: string;
  /** One for each shard of the outbox. */
  readonly partitions: number;
  readonly replicationFactor: number;
  /** How long the topic keeps events where it is created here; -1 is for ever. */
  readonly retentionMs: number;
}

/** The topic and the outbox disagree; only an operator can say which of them is right. */
export class TopicMismatchError extends Error {
  override readonly name = 'TopicMismatchError';
}

/**
 * Creates the topic if it is missing, and waits until it takes events. Throws
 * TopicMismatchError if it has another number of partitions than the outbox has shards;
 * other errors mean that Kafka is unreachable.
 */
export async function ensureTopic(
  kafka: Kafka,
  { topic, partitions, replicationFactor, retentionMs }: TopicSettings,
): Promise<void> {
  await withAdmin(kafka, async (admin) => {
    const exists = (await admin.listTopics()).includes(topic);
    // Another worker may create it at the same moment, which is not an error. Where
    // it exists already, the right to create topics is not needed.
    if (!exists) {
      const topics = [newTopic({ topic, partitions, replicationFactor, retentionMs })];
      // kafkajs takes a broker that has not heard of the new topic yet for a failure.
      await admin.createTopics({ topics, waitForLeaders: false });
      await untilLeadersAnswer(admin, topic);
    }
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    const found = topics[0]!.partitions.length;
    if (found !== partitions) throw new TopicMismatchError(mismatch(topic, found, partitions));
  });
}

/**
 * A busy broker names the leaders of a new topic a while before they take anything.
 * Throws the last answer if they do not within half a minute.
 */
export async function untilLeadersAnswer(admin: Admin, topic: string): Promise<void> {
  const deadlineMs = performance.now() + READY_WITHIN_MS;
  for (;;) {
    try {
      await admin.fetchTopicOffsets(topic);
      return;
    } catch (error) {
      if (performance.now() > deadlineMs || !NOT_YET.has(protocolErrorType(error) ?? '')) throw error;
      await sleep(100);
    }
  }
}

function newTopic({ topic, partitions, replicationFactor, retentionMs }: TopicSettings): ITopicConfig {
  const configEntries = [
    // Compaction would leave one event of each payer.
    { name: 'cleanup.policy', value: 'delete' },
    { name: 'retention.ms', value: String(retentionMs) },
    // A write that only one of three replicas has can be lost with that replica.
    ...(replicationFactor < 3 ? [] : [{ name: 'min.insync.replicas', value: '2' }]),
  ];
  return { topic, numPartitions: partitions, replicationFactor, configEntries };
}

function mismatch(topic: string, found: number, shards: number): string {
  return (
    `Topic ${topic} has ${found} partitions but the outbox has ${shards} shards; they must be equal, ` +
    `as an event's shard is its partition. Either set KAFKA_TOPIC to a topic that does not exist yet or has ` +
    `${shards} partitions, or give the outbox ${found} shards while it is empty and neither API nor relay runs.`
  );
}
