import type { Kafka } from 'kafkajs';
import { describe, expect, test } from 'vitest';
import { kafkaEventLog } from '../../../src/infra/kafka/event-log.ts';

const TOPIC = 'payment.events.v1';
const nothing = async () => undefined;

/** What kafkajs tells a consumer when it cannot join its group; restart says that it will try again by itself. */
interface Crash {
  readonly error: Error;
  readonly restart: boolean;
}

function answer(type: string): Error {
  return Object.assign(new Error(type), { type });
}

/** As much of kafkajs as a reading of one record uses, whose joins fail so often before one succeeds. */
function kafkaWith(crashes: readonly Crash[]): { kafka: Kafka; soughtAtJoin: string[][] } {
  const soughtAtJoin: string[][] = [];
  const edges = [{ partition: 0, low: '0', high: '8' }];
  const admin = { connect: nothing, disconnect: nothing, deleteGroups: nothing, fetchTopicOffsets: () => edges };
  const listeners: Record<string, (event: { payload: Crash | object }) => void> = {};
  let sought: string[] = [];
  const consumer = {
    events: { CRASH: 'crash', GROUP_JOIN: 'join' },
    connect: nothing,
    disconnect: nothing,
    subscribe: nothing,
    on: (name: string, listener: (typeof listeners)[string]) => {
      listeners[name] = listener;
    },
    seek: ({ offset }: { offset: string }) => sought.push(offset),
    async run({ eachBatch }: { eachBatch: (payload: object) => Promise<void> }) {
      for (const payload of crashes) listeners['crash']!({ payload });
      sought = [];
      listeners['join']!({ payload: {} });
      soughtAtJoin.push(sought);
      const messages = [{ offset: '7', timestamp: '0', key: null, value: null }];
      await eachBatch({ batch: { partition: 0, messages, lastOffset: () => '7' } });
    },
  };
  return { kafka: { admin: () => admin, consumer: () => consumer } as unknown as Kafka, soughtAtJoin };
}

const read = (kafka: Kafka) =>
  kafkaEventLog(kafka, TOPIC).read(
    [7n],
    async () => undefined,
    () => false,
    new AbortController().signal,
  );

describe('reading the topic', () => {
  test.each(['GROUP_LOAD_IN_PROGRESS', 'GROUP_COORDINATOR_NOT_AVAILABLE', 'NOT_COORDINATOR_FOR_GROUP'])(
    'waits out a coordinator that answers %s, and begins at its place',
    async (type) => {
      const { kafka, soughtAtJoin } = kafkaWith([{ error: answer(type), restart: true }]);
      expect(await read(kafka)).toEqual([{ begin: 0n, reached: 8n }]);
      expect(soughtAtJoin).toEqual([['7']]);
    },
  );

  test.each<[string, Crash]>([
    ['of which kafkajs does not try again', { error: answer('GROUP_LOAD_IN_PROGRESS'), restart: false }],
    ['of another kind', { error: answer('GROUP_AUTHORIZATION_FAILED'), restart: true }],
  ])('fails on an answer %s', async (_, crash) => {
    await expect(read(kafkaWith([crash]).kafka)).rejects.toThrow(crash.error.message);
  });
});
