import { Admin, ConfigResourceTypes, IncrementalAlterConfigOperationTypes } from '@platformatic/kafka';
import type { Logger } from '../../relay/ports.ts';
import type { KafkaSettings } from './client.ts';
import { answerName } from './errors.ts';
import { connectionOptions } from './producer.ts';

/**
 * Seven days: Kafka's own default, and written on the topic, so that no broker's other
 * default decides. A consumer that breaks on a Friday can be mended within it.
 */
export const DEFAULT_RETENTION_MS = 604_800_000;

interface RetentionSettings {
  readonly topic: string;
  /** Undefined leaves the topic as it is. */
  readonly wantedMs: number | undefined;
}

/**
 * Gives the topic the retention that is wanted, and logs whatever else makes its events
 * go sooner than a consumer expects. What a broker does not allow is logged and no
 * reason not to publish; other errors mean that Kafka is unreachable.
 */
export async function checkRetention(
  connection: KafkaSettings,
  settings: RetentionSettings,
  log: Logger,
): Promise<void> {
  // kafkajs can only set all of a topic's settings at once, which would undo an operator's others.
  const admin = new Admin(connectionOptions(connection));
  try {
    await check(admin, settings, log);
  } catch (error) {
    const answer = answerName(error);
    if (answer === undefined) throw error;
    log.warn(
      { err: error, topic: settings.topic, wantedMs: settings.wantedMs },
      `Kafka does not let the relay look at or set the topic's retention (${answer}): it stays as it is`,
    );
  } finally {
    await admin.close();
  }
}

async function check(admin: Admin, { topic, wantedMs }: RetentionSettings, log: Logger): Promise<void> {
  const settings = await describe(admin, topic);
  const policy = settings.get('cleanup.policy') ?? '';
  if (policy.includes('compact')) {
    log.error({ topic, policy }, 'the topic is compacted: events of a payer that are not its last will be lost');
  }
  const bytes = Number(settings.get('retention.bytes') ?? -1);
  if (bytes !== -1) log.warn({ topic, bytes }, 'the topic has retention.bytes: events may go before their time');

  const retentionMs = Number(settings.get('retention.ms'));
  if (wantedMs === undefined) {
    if (retentionMs === DEFAULT_RETENTION_MS) return;
    log.warn(
      { topic, retentionMs, defaultMs: DEFAULT_RETENTION_MS },
      'the topic has a retention of its own and keeps it: KAFKA_RETENTION_MS is not set',
    );
    return;
  }
  if (retentionMs === wantedMs) return;
  await setRetention(admin, topic, wantedMs);
  log.warn({ topic, fromMs: retentionMs, toMs: wantedMs }, "the topic's retention was changed to KAFKA_RETENTION_MS");
}

const NAMES = ['retention.ms', 'retention.bytes', 'cleanup.policy'];

async function describe(admin: Admin, topic: string): Promise<Map<string, string | null | undefined>> {
  const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys: NAMES };
  const [answer] = await admin.describeConfigs({ resources: [resource] });
  return new Map(answer?.configs.map(({ name, value }) => [name, value]));
}

async function setRetention(admin: Admin, topic: string, retentionMs: number): Promise<void> {
  const change = {
    name: 'retention.ms',
    configOperation: IncrementalAlterConfigOperationTypes.SET,
    value: String(retentionMs),
  };
  const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configs: [change] };
  await admin.incrementalAlterConfigs({ resources: [resource] });
}
