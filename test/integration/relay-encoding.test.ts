import { randomUUID } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import kafkajs, { CompressionTypes, type Message } from 'kafkajs';
import { describe, expect, test } from 'vitest';
import { cloudEvent } from '../../src/infra/kafka/cloud-event.ts';
import type { PendingEvent } from '../../src/relay/ports.ts';
import { createTopic, SOURCE, testKafka, testPublisher } from '../support/relay.ts';

interface Codec {
  compress(encoded: { buffer: Buffer }): Promise<Buffer>;
  decompress(buffer: Buffer): Promise<Buffer>;
}
// The registry of codecs is kafkajs' own and shared, so a codec can also listen.
const codecs = kafkajs.CompressionCodecs as Record<number, () => Codec>;

function eventOf(n: number, overrides: Partial<PendingEvent> = {}): PendingEvent {
  return {
    shard: 0,
    position: BigInt(n),
    eventId: `01M85Q3TTE820EZ9PCVS${String(n).padStart(6, '0')}`,
    uuid: 'unused',
    key: `acc-${n % 7}`,
    subject: n % 5 === 0 ? undefined : `01M85Q3TTE820EZ9PCVS${String(n).padStart(6, '0')}`,
    type: n % 3 === 0 ? 'payment.declined.v1' : 'payment.authorized.v1',
    payload: JSON.stringify({ n, description: 'x'.repeat(n % 90) }),
    headers: n % 2 === 0 ? {} : { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
    createdAt: new Date(1_700_000_000_000 + n),
    blocked: false,
    ...overrides,
  };
}

const many = (count: number, overrides?: Partial<PendingEvent>) =>
  Array.from({ length: count }, (_, n) => eventOf(n, overrides));

const BATCHES: Readonly<Record<string, readonly PendingEvent[]>> = {
  'one event': [eventOf(1)],
  'one large event': [eventOf(1, { payload: JSON.stringify({ description: 'y'.repeat(300_000) }) })],
  'few events, not compressed': many(20),
  'many events, compressed': many(1_500),
  'texts beyond ASCII': [
    ...many(3, { key: 'счёт-№1', payload: '{"description": "Привет, мир"}' }),
    ...many(3, { key: '😀', payload: `{"description": "${'日本語😀é'.repeat(50)}"}` }),
    eventOf(1, { headers: { tracestate: 'ключ=значение', é: 'ü' } }),
    // Where a length takes one byte more.
    ...[62, 63, 64, 65, 126, 127, 128, 129, 8_190, 8_191, 8_192, 8_193].map((bytes) =>
      eventOf(bytes, { payload: 'z'.repeat(bytes) }),
    ),
  ],
  'empty texts, and a header that ours overrides': [
    eventOf(1, { key: '', payload: '', headers: { ce_id: 'not this', empty: '' } }),
  ],
  'half a surrogate pair': [eventOf(1, { key: '\ud83d', payload: '"\ude00"' })],
};

/** Those that are large enough to be compressed. */
const COMPRESSED = new Set(['one large event', 'many events, compressed', 'texts beyond ASCII']);

/** Everything a consumer is told, headers in their order. */
async function read(topic: string, count: number) {
  const consumer = testKafka().consumer({ groupId: randomUUID(), maxWaitTimeInMs: 200 });
  const records: object[] = [];
  const times: number[] = [];
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        eachMessage: async ({ partition, message }) => {
          const headers = Object.entries(message.headers ?? {}).map(([name, value]) => [name, value?.toString('hex')]);
          const { offset, attributes } = message;
          const [key, value] = [message.key?.toString('hex'), message.value?.toString('hex')];
          records.push({ partition, offset, attributes, key, value, headers });
          times.push(Number(message.timestamp));
          if (records.length === count) resolve();
        },
      })
      .catch(reject);
  });
  await consumer.disconnect();
  return { records, times };
}

/** What kafkajs unpacks: the records of each compressed batch, byte for byte as they are on Kafka. */
function listen(): Buffer[] {
  const batches: Buffer[] = [];
  codecs[CompressionTypes.GZIP] = () => ({
    compress: async ({ buffer }) => gzipSync(buffer),
    decompress: async (buffer) => {
      const records = gunzipSync(buffer);
      batches.push(records);
      return records;
    },
  });
  return batches;
}

describe('what the relay sends', () => {
  test.each(Object.entries(BATCHES))('is what kafkajs makes of it: %s', async (name, events) => {
    const [ours, theirs] = [await createTopic(), await createTopic()];
    const publisher = testPublisher(ours);
    const before = Date.now();
    await publisher.publish(0, events);
    const after = Date.now();
    await publisher.close();

    const compression = COMPRESSED.has(name) ? CompressionTypes.GZIP : CompressionTypes.None;
    const producer = testKafka().producer({ allowAutoTopicCreation: false });
    await producer.connect();
    const messages: Message[] = events.map((event) => ({ ...cloudEvent(event, SOURCE), partition: 0 }));
    await producer.send({ topic: theirs, messages, compression });
    await producer.disconnect();

    const batches = listen();
    const arrived = await read(ours, events.length);
    const expected = await read(theirs, events.length);
    expect(arrived.records).toEqual(expected.records);
    expect(batches).toHaveLength(COMPRESSED.has(name) ? 2 : 0);
    expect(batches[0]).toEqual(batches[1]);
    const times = new Set(arrived.times);
    expect(times.size).toBe(1);
    const [time] = times;
    expect(time).toBeGreaterThanOrEqual(before);
    expect(time).toBeLessThanOrEqual(after);
  });

  test('is nothing for a partition that the topic does not have', async () => {
    const topic = await createTopic({}, 4);
    const publisher = testPublisher(topic);
    await expect(publisher.publish(4, [eventOf(1)])).rejects.toThrow('has 4 partitions and none for shard 4');
    await publisher.publish(3, [eventOf(2)]);
    await publisher.close();
    expect((await read(topic, 1)).records).toHaveLength(1);
  });
});
