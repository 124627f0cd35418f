import { AssertionError, partialDeepStrictEqual } from 'node:assert/strict';
import { type ServiceError, status } from '@grpc/grpc-js';
import { RANGE_SIZE, reconcile } from '../src/app/reconciliation/books.ts';
import { channelOf } from '../src/cli/api.ts';
import { AccountType, OpenAccountRequest, OpenAccountResponse } from '../src/gen/payment/v1/account.ts';
import {
  AuthorizePaymentRequest,
  AuthorizePaymentResponse,
  CapturePaymentRequest,
  CapturePaymentResponse,
  GetAccountBalanceRequest,
  GetAccountBalanceResponse,
  GetPaymentRequest,
  GetPaymentResponse,
  HoldPaymentRequest,
  HoldPaymentResponse,
  PaymentErrorCode,
  PaymentStatus,
  RefundPaymentRequest,
  RefundPaymentResponse,
} from '../src/gen/payment/v1/payment.ts';
import { createPool } from '../src/infra/postgres/pool.ts';
import { postgresBooks } from '../src/infra/postgres/reconciliation/books.ts';
import { type Caller, callerFrom } from './caller.ts';
import { LedgerClient } from './client.ts';
import { consumeEvents, type EventConsumer } from './events.ts';
import { untilInterrupted } from './interrupt.ts';
import { removeData } from './stack/stack.ts';
import { DEMO_FOLDER, type System, startSystem } from './system.ts';

const HELP = `npm run demo: starts the whole system on fresh data, calls it through a real client, shows
each request, each answer and the events a real consumer received, and reconciles the
books. Ends with 0 if all of it was as the contract says, with 1 otherwise. Where AUTH_* or
TLS_* set the API up to ask for more, the client takes LEDGER_TOKEN_FILE, LEDGER_CA_FILE,
LEDGER_CERT_FILE and LEDGER_KEY_FILE.`;

/** Small enough for the demo to empty a bucket. */
const BUCKET_TOKENS = 5;

const AUTHORIZED = PaymentStatus.PAYMENT_STATUS_AUTHORIZED;
const DECLINED = PaymentStatus.PAYMENT_STATUS_DECLINED;
const DUPLICATE = PaymentStatus.PAYMENT_STATUS_DUPLICATE;

/** A message's type, as ts-proto generates it. */
interface Type<T> {
  fromPartial(fields: object): T;
  toJSON(message: T): unknown;
}

/** The protobuf-JSON form of a message, in which enums have names and defaults are left out. */
const show = <T>(type: Type<T>, fields: object) => JSON.stringify(type.toJSON(type.fromPartial(fields)));

let differences = 0;

/** Prints a call and its answer, and counts a difference if the answer lacks what is expected. */
async function step<Request, Response extends object>(
  title: string,
  [requestType, responseType]: [Type<Request>, Type<Response>],
  request: object,
  call: Promise<Response>,
  expected: object,
): Promise<Response | undefined> {
  console.log(`\n${title}\n  > ${show(requestType, request)}`);
  const [answer, error] = await call.then(
    (response) => [response] as const,
    ({ code, details }: ServiceError) => [undefined, { code: status[code], details }] as const,
  );
  console.log(`  < ${answer === undefined ? `${error?.code}: ${error?.details}` : show(responseType, answer)}`);
  try {
    partialDeepStrictEqual(answer ?? error, expected);
  } catch (difference) {
    if (!(difference instanceof AssertionError)) throw difference;
    differences += 1;
    console.log(`  DIFFERS from the contract:\n${difference.message}`);
  }
  return answer;
}

/** The calls. Returns how many accounts and payments they stored, which is how many events there must be. */
async function callEverything(client: LedgerClient, run: string): Promise<number> {
  const [world, alice, bob] = [`world-${run}`, `alice-${run}`, `bob-${run}`];
  const pay = (title: string, request: Partial<AuthorizePaymentRequest>, expected: object) =>
    step(title, [AuthorizePaymentRequest, AuthorizePaymentResponse], request, client.authorize(request), expected);
  const open = (title: string, accountId: string, type: AccountType) => {
    const request = { accountId, currency: 'RUB', type };
    const call = client.open(accountId, request).then((account) => ({ account }));
    return step(title, [OpenAccountRequest, OpenAccountResponse], request, call, { account: { accountId } });
  };

  await open('Open an account for the world outside', world, AccountType.ACCOUNT_TYPE_EXTERNAL);
  await open('Open an account for Alice', alice, AccountType.ACCOUNT_TYPE_CUSTOMER);
  await open('Open an account for Bob', bob, AccountType.ACCOUNT_TYPE_CUSTOMER);

  const fund = {
    idempotencyKey: `fund-${run}`,
    payerAccountId: world,
    payeeAccountId: alice,
    amountCents: 100_000n,
    currency: 'RUB',
  };
  await pay('Fund Alice by a payment from outside', fund, { status: AUTHORIZED });

  const lunch = {
    ...fund,
    idempotencyKey: `lunch-${run}`,
    payerAccountId: alice,
    payeeAccountId: bob,
    amountCents: 2_500n,
  };
  const paymentId = (await pay('Alice pays Bob', lunch, { status: AUTHORIZED }))?.paymentId ?? '';
  await pay('The same request again: the same payment, once', lunch, { status: DUPLICATE, paymentId });
  await pay('The same key for another amount', { ...lunch, amountCents: 9_900n }, { code: 'ALREADY_EXISTS' });
  const tooMuch = { ...lunch, idempotencyKey: `much-${run}`, amountCents: 1_000_000n };
  await pay('More than Alice has', tooMuch, {
    status: DECLINED,
    error: { code: PaymentErrorCode.PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS },
  });

  const burst = { ...lunch, payerAccountId: bob, payeeAccountId: alice, amountCents: 1n };
  for (let i = 1; i <= BUCKET_TOKENS; i++) {
    const title = `Bob's bucket holds ${BUCKET_TOKENS} tokens: ${i}`;
    await pay(title, { ...burst, idempotencyKey: `burst-${i}-${run}` }, { status: AUTHORIZED });
  }
  await pay(
    "Bob's bucket is empty",
    { ...burst, idempotencyKey: `burst-more-${run}` },
    {
      status: DECLINED,
      paymentId: '',
      error: { code: PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED },
    },
  );

  const read = client.payment(paymentId).then((payment) => ({ payment }));
  await step('Read the payment', [GetPaymentRequest, GetPaymentResponse], { paymentId }, read, {
    payment: { paymentId, amountCents: 2_500n, status: AUTHORIZED },
  });
  const balance = client.balance(alice);
  await step(
    'Read what Alice has',
    [GetAccountBalanceRequest, GetAccountBalanceResponse],
    { accountId: alice },
    balance,
    {
      availableBalanceCents: 100_000n - 2_500n + BigInt(BUCKET_TOKENS),
    },
  );
  // Three openings, funding, lunch, the decline, and the burst.
  return 6 + BUCKET_TOKENS;
}

/** A hotel sets the price of a night aside, takes less, and gives some of it back. Returns how many events that makes. */
async function holdCaptureRefund(client: LedgerClient, run: string): Promise<number> {
  const [alice, hotel] = [`alice-${run}`, `hotel-${run}`];
  await client.open(hotel, {});
  const night = {
    idempotencyKey: `night-${run}`,
    payerAccountId: alice,
    payeeAccountId: hotel,
    amountCents: 8_000n,
    currency: 'RUB',
  };
  const held = await step(
    "The hotel holds the price of a night of Alice's money",
    [HoldPaymentRequest, HoldPaymentResponse],
    night,
    client.hold(night),
    { payment: { status: PaymentStatus.PAYMENT_STATUS_HELD, heldCents: 8_000n } },
  );
  const paymentId = held?.payment?.paymentId ?? '';
  const bill = { idempotencyKey: `bill-${run}`, paymentId, amountCents: 6_000n };
  await step(
    'It captures what Alice owes, and the rest is hers again',
    [CapturePaymentRequest, CapturePaymentResponse],
    bill,
    client.capture(paymentId, bill),
    { action: { amountCents: 6_000n, releasedCents: 2_000n }, payment: { heldCents: 0n } },
  );
  const breakfast = { idempotencyKey: `breakfast-${run}`, paymentId, amountCents: 500n };
  await step(
    'And refunds the breakfast',
    [RefundPaymentRequest, RefundPaymentResponse],
    breakfast,
    client.refund(paymentId, breakfast),
    { payment: { capturedCents: 6_000n, refundedCents: 500n } },
  );
  return 4;
}

/** Waits for the events and prints them. */
async function showEvents(consumer: EventConsumer, count: number): Promise<void> {
  console.log(`\nEvents on Kafka (${count} are expected)`);
  await consumer.until((events) => new Set(events.map(({ eventId }) => eventId)).size >= count, 30_000);
  for (const { headers, key, value } of consumer.events) {
    console.log(`  ${headers['ce_type']} key=${key} ${value}`);
  }
}

async function reconcileBooks(databaseUrl: string): Promise<void> {
  const pool = createPool({
    connectionString: databaseUrl,
    max: 1,
    applicationName: 'payment-ledger-demo',
    queryTimeoutMs: 0,
    onIdleError: (error) => console.error(error.message),
  });
  try {
    const books = postgresBooks(pool);
    const { problems, paymentsExamined } = await reconcile(books);
    console.log(`\nThe books: ${paymentsExamined} payments`);
    for (const { currency, sumCents } of await books.sumCurrencies(RANGE_SIZE))
      console.log(`  ${currency}: all balances together are ${sumCents}`);
    for (const problem of problems) console.log(`  WRONG: ${problem}`);
    differences += problems.length;
  } finally {
    await pool.end();
  }
}

async function run(system: System, caller: Caller): Promise<void> {
  const topic = process.env['KAFKA_TOPIC'] || 'payment.events.v1';
  const client = new LedgerClient(system.apiAddress, channelOf(caller), caller.token);
  const consumer = await consumeEvents(system.stack.kafka.address, topic, { fromNow: true });
  try {
    const suffix = Date.now().toString(36);
    const events = (await callEverything(client, suffix)) + (await holdCaptureRefund(client, suffix));
    await showEvents(consumer, events);
    await reconcileBooks(system.stack.postgres.address);
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
    run(system, caller).then(() => {
      console.log(differences === 0 ? '\nAll of it as the contract says.' : `\n${differences} answers differ.`);
      finish(differences === 0 ? null : new Error('The demo found differences from the contract.'));
    }, finish);
  }
  return stop;
}

if (process.argv.includes('--help')) console.log(HELP);
else await untilInterrupted(main);
