// A consumer of payment events that keeps the balance of every account. See README.md.
import { Kafka, type KafkaMessage } from 'kafkajs';
import pg from 'pg';
import { handleEvent } from './account-views.ts';
import { startTracing } from './tracing.ts';

const { CONSUMER_DATABASE_URL, KAFKA_BROKERS = 'localhost:9092', KAFKA_TOPIC = 'payment.events.v1' } = process.env;
if (!CONSUMER_DATABASE_URL) throw new Error('CONSUMER_DATABASE_URL is not set: a database with schema.sql in it');

const GROUP = 'account-views';

const pool = new pg.Pool({ connectionString: CONSUMER_DATABASE_URL });
const kafka = new Kafka({ clientId: GROUP, brokers: KAFKA_BROKERS.split(',') });
const consumer = kafka.consumer({ groupId: GROUP });
const tracing = await startTracing(GROUP);

await consumer.connect();
await consumer.subscribe({ topic: KAFKA_TOPIC, fromBeginning: true });
await consumer.run({
  // One message of a partition at a time keeps a payer's events in order. The offset
  // is committed after this has returned; if it throws, the message comes again.
  eachMessage: ({ topic, partition, message }) =>
    tracing === undefined ? take(message) : tracing.traced({ topic, partition, message }, () => take(message)),
});

async function take({ headers, value }: KafkaMessage): Promise<void> {
  const event = { id: String(headers?.['ce_id']), type: String(headers?.['ce_type']), value: String(value) };
  const client = await pool.connect();
  try {
    const fresh = await handleEvent(client, event);
    console.log(`${event.id} ${event.type}${fresh ? '' : ' (a repeat)'}`);
  } finally {
    client.release();
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await consumer.disconnect();
    await pool.end();
    await tracing?.stop();
  });
}
