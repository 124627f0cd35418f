import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import kafkajs, { CompressionTypes, type Message } from 'kafkajs';
import { describe, expect, test } from 'vitest';
import { cloudEvent } from '../../src/infra/kafka/cloud-event.ts';
import { sendEncoded } from '../../src/infra/kafka/encoded-batch.ts';
import { encodeRecords, type KafkaRecord } from '../../src/infra/kafka/records.ts';
import type { PendingEvent } from '../../src/relay/ports.ts';
import { createTopic, testKafka, testPublisher } from '../support/relay.ts';

interface Codec {
  compress(encoded: { buffer: Buffer }): Promise<Buffer>;
}
const codecs = kafkajs.CompressionCodecs as Record<number, () => Codec>;

function eventOf(n: number, overrides: Partial<PendingEvent> = {}): PendingEvent {
  return {
    shard: 0,
    position: BigInt(n),
    eventId: `01M85Q3TTE820EZ9PCVS${String(n).padStart(6, '0')}`,
    key: `acc-${n % 7}`,
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

describe('what the relay sends', () => {
  // The registry of codecs is kafkajs' own and shared, so a codec can also listen.
  const LISTENING = 16 | CompressionTypes.GZIP;
  test.each(Object.entries(BATCHES))('is what kafkajs makes of it: %s', async (_, events) => {
    const [ours, theirs] = [await createTopic(), await createTopic()];
    const handed: Buffer[] = [];
    codecs[LISTENING] = () => ({
      compress: async ({ buffer }) => {
        handed.push(Buffer.from(buffer));
        return gzipSync(buffer);
      },
    });
    const records = events.map(cloudEvent);
    const producer = testKafka().producer({ allowAutoTopicCreation: false });
    await producer.connect();
    const messages: Message[] = records.map((record) => ({ ...record, partition: 0 }));
    await producer.send({ topic: theirs, messages, compression: LISTENING as CompressionTypes });
    const bytes = encodeRecords(records);
    expect(handed).toHaveLength(1);
    expect(bytes.equals(handed[0]!)).toBe(true);

    const publisher = testPublisher(ours);
    const before = Date.now();
    await publisher.publish(0, events);
    const after = Date.now();
    // kafkajs' own gzip is still its own.
    await producer.send({ topic: ours, messages, compression: CompressionTypes.GZIP });
    await producer.send({ topic: theirs, messages, compression: CompressionTypes.None });
    await Promise.all([publisher.close(), producer.disconnect()]);

    const arrived = await read(ours, 2 * events.length);
    const expected = await read(theirs, 2 * events.length);
    expect(arrived.records).toEqual(expected.records);
    const times = new Set(arrived.times.slice(0, events.length));
    expect(times.size).toBe(1);
    const [time] = times;
    expect(time).toBeGreaterThanOrEqual(before);
    expect(time).toBeLessThanOrEqual(after);
  });
});

describe('a batch that is encoded here', () => {
  const records: readonly KafkaRecord[] = many(3).map(cloudEvent);
  const standInsOf = (messages: readonly Message[]) => encodeRecords(messages as unknown as readonly KafkaRecord[]);

  test('is not sent if kafkajs hands over anything but its stand-ins', async () => {
    const changes: readonly ((buffer: Buffer) => Buffer)[] = [
      (buffer) => buffer.subarray(1),
      (buffer) => Buffer.concat([buffer, Buffer.alloc(1)]),
      (buffer) => Buffer.alloc(buffer.length),
      () => Buffer.alloc(0),
      () => encodeRecords(records),
    ];
    for (const change of changes) {
      const sent = sendEncoded(0, records, ({ messages, compression }) =>
        codecs[compression]!().compress({ buffer: change(standInsOf(messages)) }),
      );
      await expect(sent).rejects.toThrow('Bug! kafkajs');
    }
  });

  test('does not count as sent if kafkajs never asked for it', async () => {
    await expect(sendEncoded(0, records, async () => 'sent')).rejects.toThrow('Bug! kafkajs');
  });

  test('is known by its stand-ins among others that are being sent, and only while it is', async () => {
    const kept: Buffer[] = [];
    const send = (some: readonly KafkaRecord[]) =>
      sendEncoded(0, some, async ({ messages, compression }) => {
        const buffer = standInsOf(messages);
        kept.push(buffer);
        await new Promise((resume) => setImmediate(resume));
        return codecs[compression]!().compress({ buffer });
      });
    const batches = [1, 2, 3].map((n) => [{ ...records[0]!, value: `value ${n}` }]);
    const sent = await Promise.all(batches.map(send));
    expect(sent).toEqual(batches.map((batch) => encodeRecords(batch)));
    expect(kept).toHaveLength(3);
    const late = sendEncoded(0, records, ({ compression }) => codecs[compression]!().compress({ buffer: kept[0]! }));
    await expect(late).rejects.toThrow('Bug! kafkajs');
  });
});
