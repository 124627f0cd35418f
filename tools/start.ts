import { channelOf } from '../src/cli/api.ts';
import { AccountType } from '../src/gen/payment/v1/account.ts';
import { callerFrom } from './caller.ts';
import { LedgerClient } from './client.ts';
import { consumeEvents, type ReceivedEvent } from './events.ts';
import { START_ACCOUNTS } from './foreign-accounts.ts';
import { untilInterrupted } from './interrupt.ts';
import { startOptions, startSeeded } from './seed/start-seeded.ts';
import { DATA_FOLDER, startSystem } from './system.ts';

const HELP = `npm start: runs the whole of Payment Ledger on this machine until Ctrl-C.

Postgres, Redis and Kafka are started on loopback unless DATABASE_URL, REDIS_URL or
KAFKA_BROKERS name one to use; on free ports, unless LOCAL_POSTGRES_PORT, LOCAL_REDIS_PORT
or LOCAL_KAFKA_PORT ask for one. Every variable of .env.example is passed on to the API
and the relay; where they set the API up to ask for more, the client that opens the
demo accounts takes LEDGER_TOKEN_FILE, LEDGER_CA_FILE, LEDGER_CERT_FILE and
LEDGER_KEY_FILE. Data stays in .local/data; npm run reset clears it.

npm start -- --seed FILE: for tests of callers, on books that hold what the JSON file says and
nothing else (docs/testing-against-it.md). Once GET /readyz on port 50052, or --control-port,
answers 200 they are there; POST /reset makes them anew. Not with servers of others.`;

const CURRENCY = 'RUB';
const FUNDING_CENTS = 100_000_000n;

/** Opens the demo accounts and pays into them from outside; does nothing the second time. */
async function openDemoAccounts(client: LedgerClient): Promise<void> {
  const { external, customers } = START_ACCOUNTS;
  await client.open(external, { currency: CURRENCY, type: AccountType.ACCOUNT_TYPE_EXTERNAL });
  for (const account of customers) {
    await client.open(account, { currency: CURRENCY });
    await client.authorize({
      idempotencyKey: `funding-${account}`,
      payerAccountId: external,
      payeeAccountId: account,
      amountCents: FUNDING_CENTS,
      currency: CURRENCY,
      description: 'Opening balance',
    });
  }
}

function printEvent({ type, partition, offset, key, eventId, value }: ReceivedEvent): void {
  // Of the fields that events have, those that there are.
  const { payeeAccountId, amountCents, currency, error } = JSON.parse(value);
  const payee = payeeAccountId === undefined ? [] : ['->', payeeAccountId];
  const what = [...payee, amountCents, currency].filter((part) => part !== undefined).join(' ');
  const why = error === undefined ? '' : `: ${error.message}`;
  console.log(`event ${type} ${eventId} (partition ${partition}, offset ${offset}) ${key} ${what}${why}`);
}

async function main(signal: AbortSignal, finish: (error: Error) => void): Promise<() => Promise<void>> {
  const onProgress = (message: string) => console.log(`· ${message}`);
  const caller = callerFrom(process.env);
  const system = await startSystem({ dataDir: DATA_FOLDER, env: process.env, onProgress, signal, onFailure: finish });
  const client = new LedgerClient(system.apiAddress, channelOf(caller), caller.token);
  const stops = [() => system.stop(), async () => client.close()];
  const stop = async () => {
    for (const each of stops.toReversed()) await each();
  };
  try {
    if (signal.aborted) return stop;
    const topic = process.env['KAFKA_TOPIC'] || 'payment.events.v1';
    const consumer = await consumeEvents(system.stack.kafka.address, topic, { fromNow: true, onEvent: printEvent });
    stops.push(() => consumer.close());
    await openDemoAccounts(client);
    console.log(`
Payment Ledger is running. Ctrl-C stops it.

  gRPC      ${system.apiAddress}
  Postgres  ${system.stack.postgres.address}
  Redis     ${system.stack.redis.address}
  Kafka     ${system.stack.kafka.address}, topic ${topic}
  logs      ${system.logs.join(' ')}

Pay acc-002 from acc-001; send it again and the answer is DUPLICATE:

  grpcurl -plaintext -d '{"idempotency_key":"550e8400-e29b-41d4-a716-446655440000","payer_account_id":"acc-001","payee_account_id":"acc-002","amount_cents":10000,"currency":"${CURRENCY}"}' localhost:${system.apiAddress.split(':').at(-1)} payment.v1.PaymentService/AuthorizePayment

Events as they arrive on Kafka:
`);
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}

async function begin(signal: AbortSignal, finish: (error: Error) => void): Promise<() => Promise<void>> {
  const { seed, controlPort } = startOptions(process.argv.slice(2));
  return seed === undefined ? main(signal, finish) : startSeeded({ seed, controlPort }, signal, finish);
}

if (process.argv.includes('--help')) console.log(HELP);
else await untilInterrupted(begin);
