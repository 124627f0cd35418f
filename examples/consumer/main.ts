// A consumer of payment events that keeps the balance of every account. See README.md.
import { Kafka, type KafkaMessage, logLevel } from 'kafkajs';
import type pg from 'pg';
import { handleEvent, isKnown } from './account-views.ts';
import { openDatabase } from './database.ts';
import { HELP, readSettings, type Settings, SettingsError } from './settings.ts';
import { startTracing } from './tracing.ts';

/** Ctrl-C reaches a process from the terminal and again from npm: within this time it is the same one. */
const SAME_SIGNAL_MS = 1_000;

/** Consumes until a signal. Returns the exit code. */
async function consume({ databaseUrl, brokers, topic, group }: Settings): Promise<number> {
  const stop = stopSignal();
  const pool = await openDatabase(databaseUrl);
  const tracing = await startTracing(group);
  const kafka = new Kafka({ clientId: group, brokers: [...brokers], logLevel: logLevel.WARN });
  const consumer = kafka.consumer({ groupId: group });
  const crashed = new Promise<number>((resolve) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      console.error(`the consumer failed: ${payload.error.message}`);
      // Most failures kafkajs mends by starting again. What it does not must not look like a topic without events.
      if (!payload.restart) resolve(1);
    });
  });
  const stopped = stop.then(() => 0);
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      // One message of a partition at a time keeps a payer's events in order. The offset
      // is committed after this has returned; if it throws, the message comes again.
      eachMessage: ({ topic, partition, message }) => {
        const work = () => take(pool, partition, message);
        return tracing === undefined ? work() : tracing.traced({ topic, partition, message }, work);
      },
    });
    console.log(`consuming ${topic} from ${brokers} as ${group}`);
    return await Promise.race([stopped, crashed]);
  } finally {
    // Waits for the event that is being taken, and commits its offset.
    await consumer.disconnect();
    await pool.end();
    await tracing?.stop();
  }
}

async function take(pool: pg.Pool, partition: number, { headers, offset, value }: KafkaMessage): Promise<void> {
  const [id, type] = [headers?.['ce_id'], headers?.['ce_type']];
  if (id === undefined || type === undefined || value === null) {
    console.error(`left out: offset ${offset} of partition ${partition} is no CloudEvent, so not of the ledger`);
    return;
  }
  const event = { id: String(id), type: String(type), value: String(value) };
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    const fresh = await handleEvent(client, event);
    console.log(`${event.id} ${event.type}${fresh ? '' : ' (a repeat)'}`);
    if (fresh && !isKnown(event.type)) {
      console.error(
        `${event.id}: ${event.type} is not known here; of it, states of accounts are taken and nothing else`,
      );
    }
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    console.error(`${event.id} (offset ${offset} of partition ${partition}) comes again: ${failure.message}`);
    throw error;
  } finally {
    // After an error the connection may be in a transaction still; it is closed.
    client.release(failure);
  }
}

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let sinceMs: number | undefined;
    const onSignal = () => {
      if (sinceMs === undefined) resolve();
      else if (performance.now() - sinceMs > SAME_SIGNAL_MS) process.exit(1);
      sinceMs ??= performance.now();
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
}

try {
  const settings = readSettings(process.argv.slice(2), process.env);
  if (settings === undefined) console.log(HELP);
  else process.exitCode = await consume(settings);
} catch (error) {
  // Node tries each address of a host, and throws what all of them said.
  const errors = error instanceof AggregateError ? error.errors : [error];
  for (const each of errors) console.error(each instanceof Error ? each.message : each);
  process.exitCode = error instanceof SettingsError ? 2 : 1;
}
