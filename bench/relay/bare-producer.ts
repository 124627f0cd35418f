import { CompressionTypes, Kafka, logLevel, type Message } from 'kafkajs';
import { cloudEvent } from '../../src/infra/kafka/cloud-event.ts';
import { answering } from './child.ts';
import { eventOf, SHARDS } from './events.ts';

/** What kafkajs does with the same bytes by itself: events made beforehand, no database, nothing to delete. */
export interface ProduceJob {
  readonly events: number;
}

export interface Produced {
  readonly durationMs: number;
}

/** The most that the relay sends at once: RELAY_BATCH_SIZE. */
const BATCH = 500;
/** Made beforehand for each partition and sent again and again. */
const BATCHES_EACH = 4;

const [brokers, topic] = process.argv.slice(2);
const kafka = new Kafka({ brokers: brokers!.split(','), logLevel: logLevel.NOTHING });
const producer = kafka.producer({
  allowAutoTopicCreation: false,
  createPartitioner:
    () =>
    ({ message }) =>
      message.partition!,
});
await producer.connect();
const batches = makeBatches();

answering<ProduceJob, Produced>(async ({ events }) => {
  const startedMs = performance.now();
  let left = Math.ceil(events / BATCH);
  const partition = async (shard: number) => {
    for (let turn = 0; left > 0; turn++) {
      left -= 1;
      await producer.send({
        topic: topic!,
        messages: batches[shard]![turn % BATCHES_EACH]!,
        acks: -1,
        compression: CompressionTypes.GZIP,
      });
    }
  };
  // Like the relay, one send in flight for each partition.
  await Promise.all(Array.from({ length: SHARDS }, (_, shard) => partition(shard)));
  return { durationMs: performance.now() - startedMs };
});

/** Batches by partition. */
function makeBatches(): Message[][][] {
  return Array.from({ length: SHARDS }, (_, shard) =>
    Array.from({ length: BATCHES_EACH }, (_, batch) =>
      Array.from({ length: BATCH }, (_, n) => ({
        ...cloudEvent(eventOf((shard + batch * SHARDS) * BATCH + n), '/payment-ledger'),
        partition: shard,
      })),
    ),
  );
}
