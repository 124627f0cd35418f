import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PaymentErrorCode, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import { LedgerClient } from '../../tools/client.ts';
import { consumeEvents, type ReceivedEvent } from '../../tools/events.ts';
import { auditBooks } from '../support/books.ts';
import { openDatabase, type TestDatabase } from '../support/database.ts';

// npm start -- --seed, as docs/testing-against-it.md shows it to other teams.

const { PAYMENT_STATUS_AUTHORIZED: AUTHORIZED } = PaymentStatus;
const TOPIC = 'payment.events.v1';
const CAPACITY = 5;

let child: ChildProcess;
let output = '';
let control: string;
let kafka: string;
let client: LedgerClient;
let database: TestDatabase;

beforeAll(async () => {
  const args = ['tools/start.ts', '--seed', 'examples/seed.json', '--control-port', '0'];
  const { DATABASE_URL: _, REDIS_URL: __, KAFKA_BROKERS: ___, ...others } = process.env;
  const ports = { GRPC_PORT: '0', METRICS_PORT: '0' };
  const limits = { RATE_LIMIT_CAPACITY: String(CAPACITY), RATE_LIMIT_REFILL_PER_SECOND: '1' };
  child = spawn(process.execPath, args, { env: { ...others, ...ports, ...limits }, stdio: ['ignore', 'pipe', 'pipe'] });
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (text) => {
        output += text;
        if (/reset +curl/.test(output)) resolve();
      });
    }
    child.once('exit', (code) => reject(new Error(`npm start ended with ${code}:\n${output}`)));
  });
  const after = (name: string) => new RegExp(`^  ${name} +(?:curl )?(\\S+)`, 'm').exec(output)![1]!;
  control = after('ready').replace('/readyz', '');
  kafka = after('Kafka').replace(',', '');
  client = new LedgerClient(after('gRPC'));
  database = openDatabase(after('Postgres'));
}, 600_000);

afterAll(async () => {
  client?.close();
  await database?.close();
  if (child.exitCode === null) {
    child.kill('SIGINT');
    await once(child, 'exit');
  }
});

const purchase = { idempotencyKey: 'order-1', payerAccountId: 'customer-1', payeeAccountId: 'shop', currency: 'EUR' };

async function reset(): Promise<void> {
  const response = await fetch(`${control}/reset`, { method: 'POST' });
  expect([response.status, await response.text()]).toEqual([200, 'reset\n']);
}

async function balances(): Promise<Record<string, bigint>> {
  const names = ['customer-1', 'customer-2', 'shop', 'bank', 'external-eur'];
  const all = names.map(async (name) => [name, (await client.balance(name)).availableBalanceCents] as const);
  return Object.fromEntries(await Promise.all(all));
}

const SEEDED = { 'customer-1': 100_000n, 'customer-2': 0n, shop: 0n, bank: 0n, 'external-eur': -100_000n };

test('the seeded accounts are there once it is ready', async () => {
  expect((await fetch(`${control}/readyz`)).status).toBe(200);
  expect(await balances()).toEqual(SEEDED);
  expect(await client.account('customer-2')).toMatchObject({ overdraftLimitCents: 5_000n });
});

test('a reset takes back payments, accounts, keys, limits and events', async () => {
  const first = await client.authorize({ ...purchase, amountCents: 700n });
  expect(first.status).toBe(AUTHORIZED);
  await client.open('of-this-test', { currency: 'EUR' });
  const burst = Array.from({ length: 4 * CAPACITY }, () =>
    client.authorize({ payerAccountId: 'customer-1', payeeAccountId: 'shop', amountCents: 1n, currency: 'EUR' }),
  );
  const limited = PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED;
  expect((await Promise.all(burst)).filter(({ error }) => error?.code === limited).length).toBeGreaterThan(0);

  await reset();
  expect(await balances()).toEqual(SEEDED);
  await expect(client.account('of-this-test')).rejects.toThrow('NOT_FOUND');
  const second = await client.authorize({ ...purchase, amountCents: 900n });
  expect(second.status).toBe(AUTHORIZED);
  for (let taken = 1; taken < CAPACITY; taken++) {
    const another = { ...purchase, idempotencyKey: `order-${taken + 1}`, amountCents: 1n };
    expect((await client.authorize(another)).status).toBe(AUTHORIZED);
  }

  const consumer = await consumeEvents(kafka, TOPIC);
  const amounts = (events: readonly ReceivedEvent[]) =>
    events.flatMap(({ authorized }) => (authorized === undefined ? [] : [authorized.amountCents]));
  await consumer.until((events) => amounts(events).length >= 1 + CAPACITY);
  await consumer.close();
  expect(amounts(consumer.events).toSorted()).toEqual([100_000n, 900n, 1n, 1n, 1n, 1n].toSorted());
  const opened = consumer.events.flatMap(({ accountChanged }) => accountChanged?.accountId ?? []);
  expect(opened.toSorted()).toEqual(Object.keys(SEEDED).toSorted());
  expect(await auditBooks(database)).toEqual([]);
});

test('books are whole after resets while others pay and reset', async () => {
  let paying = true;
  const pay = async () => {
    while (paying) {
      const payment = { payerAccountId: 'customer-1', payeeAccountId: 'shop', amountCents: 1n, currency: 'EUR' };
      // Accounts come and go, and the tables are locked for a moment.
      await client.authorize(payment).catch((error) => expect(error.message).toContain('UNAVAILABLE'));
    }
  };
  const payers = Array.from({ length: 4 }, pay);
  await reset();
  await Promise.all([reset(), reset()]);
  paying = false;
  await Promise.all(payers);
  await reset();
  expect(await balances()).toEqual(SEEDED);
  expect(await auditBooks(database)).toEqual([]);
});

test('there is nothing else to call', async () => {
  expect((await fetch(`${control}/reset`)).status).toBe(404);
  expect((await fetch(`${control}/`)).status).toBe(404);
});
