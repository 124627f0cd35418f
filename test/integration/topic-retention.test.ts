import { randomUUID } from 'node:crypto';
import { ConfigResourceTypes } from 'kafkajs';
import { expect, test } from 'vitest';
import { withAdmin } from '../../src/infra/kafka/client.ts';
import { ensureTopic } from '../../src/infra/kafka/topic.ts';
import { checkRetention, DEFAULT_RETENTION_MS } from '../../src/infra/kafka/topic-retention.ts';
import { createTopic, SHARDS, silent, testKafka, testKafkaSettings } from '../support/relay.ts';

const DAY_MS = 86_400_000;

async function settingsOf(topic: string): Promise<Record<string, string>> {
  const resource = { type: ConfigResourceTypes.TOPIC, name: topic };
  const { resources } = await withAdmin(testKafka(), (admin) =>
    admin.describeConfigs({ resources: [resource], includeSynonyms: false }),
  );
  return Object.fromEntries(
    resources[0]!.configEntries.map(({ configName, configValue }) => [configName, configValue]),
  );
}

/** What the log says while the topic is looked at. */
async function check(topic: string, wantedMs: number | undefined): Promise<{ level: string; message: string }[]> {
  const lines: { level: string; message: string }[] = [];
  const at = (level: string) => (_fields: object, message?: string) => lines.push({ level, message: message ?? '' });
  const log = { ...silent, warn: at('warn'), error: at('error') } as typeof silent;
  await checkRetention(testKafkaSettings(), { topic, wantedMs }, log);
  return lines;
}

test('a topic that is created has it, and says nothing afterwards', async () => {
  const topic = `payment.events.${randomUUID()}`;
  const settings = { topic, partitions: SHARDS, replicationFactor: 1 };
  await ensureTopic(testKafka(), { ...settings, retentionMs: DEFAULT_RETENTION_MS });
  const expected = { 'retention.ms': '604800000', 'cleanup.policy': 'delete' };
  expect(await settingsOf(topic)).toMatchObject(expected);
  expect(await check(topic, undefined)).toEqual([]);
  expect(await check(topic, DEFAULT_RETENTION_MS)).toEqual([]);
  expect(await settingsOf(topic)).toMatchObject(expected);
});

test("an operator's topic keeps its own unless another is set, and then all its other settings", async () => {
  const own = { 'retention.ms': String(30 * DAY_MS), 'max.message.bytes': '5000000' };
  const topic = await createTopic(own);
  expect(await check(topic, undefined)).toEqual([
    { level: 'warn', message: expect.stringContaining('keeps it: KAFKA_RETENTION_MS is not set') },
  ]);
  expect(await settingsOf(topic)).toMatchObject(own);

  expect(await check(topic, 2 * DAY_MS)).toEqual([
    { level: 'warn', message: expect.stringContaining('was changed to KAFKA_RETENTION_MS') },
  ]);
  await expect.poll(() => settingsOf(topic)).toMatchObject({ ...own, 'retention.ms': String(2 * DAY_MS) });
  expect(await check(topic, 2 * DAY_MS)).toEqual([]);
});

test('what makes events go sooner is logged', async () => {
  const topic = await createTopic({ 'retention.bytes': '1000000', 'cleanup.policy': 'compact,delete' });
  expect(await check(topic, DEFAULT_RETENTION_MS)).toEqual([
    { level: 'error', message: expect.stringContaining('compacted') },
    { level: 'warn', message: expect.stringContaining('retention.bytes') },
  ]);
});

test('what the broker rejects is logged and stops nothing', async () => {
  const topic = await createTopic();
  expect(await check(topic, -5)).toEqual([{ level: 'warn', message: expect.stringContaining('(INVALID_CONFIG)') }]);
  expect(await settingsOf(topic)).toMatchObject({ 'retention.ms': String(DEFAULT_RETENTION_MS) });
});
