import { channelOf } from '../src/cli/api.ts';
import { type Caller, callerFrom } from './caller.ts';
import { LedgerClient } from './client.ts';
import { payAsOne } from './demo/batches.ts';
import { reconcileBooks } from './demo/books.ts';
import { holdCaptureRefund } from './demo/holds.ts';
import { BUCKET_TOKENS, callEverything } from './demo/payments.ts';
import { Transcript } from './demo/transcript.ts';
import { consumeEvents, type EventConsumer } from './events.ts';
import { untilInterrupted } from './interrupt.ts';
import { removeData } from './stack/stack.ts';
import { DEMO_FOLDER, type System, startSystem } from './system.ts';

const HELP = `npm run demo: starts the whole system on fresh data, calls it through a real client, shows
each request, each answer and the events a real consumer received, and reconciles the
books. Ends with 0 if all of it was as the contract says, with 1 otherwise. Where AUTH_* or
TLS_* set the API up to ask for more, the client takes LEDGER_TOKEN_FILE, LEDGER_CA_FILE,
LEDGER_CERT_FILE and LEDGER_KEY_FILE.`;

/** Waits for the events and prints them. */
async function showEvents(consumer: EventConsumer, count: number): Promise<void> {
  console.log(`\nEvents on Kafka (${count} are expected)`);
  await consumer.until((events) => new Set(events.map(({ eventId }) => eventId)).size >= count, 30_000);
  for (const { headers, key, value } of consumer.events) {
    console.log(`  ${headers['ce_type']} key=${key} ${value}`);
  }
}

/** Returns how many differences from the contract it has printed. */
async function run(system: System, caller: Caller): Promise<number> {
  const topic = process.env['KAFKA_TOPIC'] || 'payment.events.v1';
  const transcript = new Transcript();
  const client = new LedgerClient(system.apiAddress, channelOf(caller), caller.token);
  const consumer = await consumeEvents(system.stack.kafka.address, topic, { fromNow: true });
  try {
    const suffix = Date.now().toString(36);
    let events = await callEverything(transcript, client, suffix);
    events += await holdCaptureRefund(transcript, client, suffix);
    events += await payAsOne(transcript, client, suffix);
    await showEvents(consumer, events);
    return transcript.differences + (await reconcileBooks(system.stack.postgres.address));
  } finally {
    client.close();
    await consumer.close();
  }
}

async function main(signal: AbortSignal, finish: (error: Error | null) => void): Promise<() => Promise<void>> {
  const caller = callerFrom(process.env);
  await removeData(DEMO_FOLDER);
  const env = {
    ...process.env,
    GRPC_PORT: '0',
    METRICS_PORT: '0',
    RATE_LIMIT_CAPACITY: String(BUCKET_TOKENS),
    RATE_LIMIT_REFILL_PER_SECOND: '1',
  };
  const system = await startSystem({
    dataDir: DEMO_FOLDER,
    env,
    onProgress: (message) => console.log(`· ${message}`),
    signal,
    onFailure: finish,
  });
  const stop = async () => {
    await system.stop();
    await removeData(DEMO_FOLDER);
  };
  if (!signal.aborted) {
    run(system, caller).then((differences) => {
      console.log(differences === 0 ? '\nAll of it as the contract says.' : `\n${differences} answers differ.`);
      finish(differences === 0 ? null : new Error('The demo found differences from the contract.'));
    }, finish);
  }
  return stop;
}

if (process.argv.includes('--help')) console.log(HELP);
else await untilInterrupted(main);
