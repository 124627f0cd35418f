import { kafkaClient } from '../../src/infra/kafka/client.ts';
import { endOffsets } from '../../tools/events.ts';
import { answering } from './child.ts';

/** Gives what has arrived since it was asked last. */
export interface Arrivals {
  /** Event ids and when each of them was handed to the consumer, in milliseconds since 1970. */
  readonly seen: readonly (readonly [eventId: string, atMs: number])[];
}

const [brokers, topic] = process.argv.slice(2);
const unheard = () => undefined;
const silent = { debug: unheard, info: unheard, warn: unheard, error: unheard };
const kafka = kafkaClient({ brokers: brokers!.split(','), clientId: 'bench-consumer' }, silent);
// Kafka answers as soon as there is anything; the wait is only how long it may have nothing to say.
const consumer = kafka.consumer({ groupId: `bench-${process.pid}`, minBytes: 1, maxWaitTimeInMs: 500 });
let seen: [string, number][] = [];
const ends = await endOffsets(kafka, topic!);
let sought = false;
// The first attempt to join may fail on a busy machine, and kafkajs begins again after run() has returned.
const joined = new Promise<void>((resolve) =>
  consumer.on(consumer.events.GROUP_JOIN, () => {
    // Without this it would ask where a partition ends some time after it has joined, and
    // not see what comes before it has the answer.
    if (!sought) for (const { partition, offset } of ends) consumer.seek({ topic: topic!, partition, offset });
    sought = true;
    resolve();
  }),
);
await consumer.connect();
await consumer.subscribe({ topic: topic! });
await consumer.run({
  // kafkajs would commit the offset of each partition by itself after every fetch, and
  // wait for each before the next fetch: with 16 partitions that is most of the time.
  autoCommit: false,
  eachBatch: async ({ batch }) => {
    const atMs = performance.timeOrigin + performance.now();
    for (const { headers } of batch.messages) seen.push([String(headers?.['ce_id']), atMs]);
  },
});
await joined;

answering<object, Arrivals>(async () => {
  const reply = { seen };
  seen = [];
  return reply;
});
