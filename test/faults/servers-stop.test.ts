import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { migrate } from '../../src/cli/migrate.ts';
import { type AuthorizePaymentRequest, PaymentErrorCode, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { consumeEvents } from '../../tools/events.ts';
import { removeData, type Stack, startStack } from '../../tools/stack/stack.ts';
import { auditBooks } from '../support/books.ts';
import { errorDetails } from '../support/error-details.ts';
import { health } from '../support/health.ts';
import { disorder } from '../support/order.ts';
import type { Service } from '../support/processes.ts';
import { type ApiProcess, type System, systemOn } from '../support/system.ts';

// Servers of this file's own, for it stops them.
let dataDir: string;
let stack: Stack;
let system: System;
let relay: Service;
let api: ApiProcess;
let client: LedgerClient;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'payment-ledger-faults-'));
  stack = await startStack({ dataDir, env: { PAYMENT_LEDGER_CACHE: process.env['PAYMENT_LEDGER_CACHE'] } });
  await migrate(stack.postgres.address);
  system = systemOn({
    databaseUrl: stack.postgres.address,
    redisUrl: stack.redis.address,
    kafkaBrokers: stack.kafka.address,
  });
  relay = await system.startRelay();
  api = await system.startApi();
  client = api.client;
  for (const account of ACCOUNTS) await client.openFunded(account, 1_000_000n);
});
afterAll(async () => {
  await system?.close();
  await stack?.stop();
  await removeData(dataDir);
});
// A test that fails leaves its traffic behind, which must not count in the next.
afterEach(async () => {
  for (const traffic of running) await traffic.stop();
  paidBefore = (await system.database.query<{ count: bigint }>('select count(*) from payments'))[0]!.count;
});

const ACCOUNTS = ['a', 'b', 'c', 'd'];
const { PAYMENT_STATUS_AUTHORIZED: AUTHORIZED, PAYMENT_STATUS_DUPLICATE: DUPLICATE } = PaymentStatus;
const pause = (ms: number) => new Promise((resume) => setTimeout(resume, ms));

function randomRequest(): Partial<AuthorizePaymentRequest> {
  const payer = Math.floor(Math.random() * ACCOUNTS.length);
  const payee = (payer + 1 + Math.floor(Math.random() * (ACCOUNTS.length - 1))) % ACCOUNTS.length;
  return {
    idempotencyKey: crypto.randomUUID(),
    payerAccountId: ACCOUNTS[payer]!,
    payeeAccountId: ACCOUNTS[payee]!,
    amountCents: 1n,
  };
}

/** What a process, the API unless told otherwise, has logged from a line on. */
function logged(from: number, { log } = api as Service): string[] {
  return log.slice(from).map((line) => JSON.parse(line).msg);
}

interface Traffic {
  /** Ends the traffic; returns the requests that were answered, and those that ended with an error. */
  stop(): Promise<{
    authorized: string[];
    failures: { request: Partial<AuthorizePaymentRequest>; error: ServiceError }[];
  }>;
}

const running = new Set<Traffic>();

/** Callers that pay without pause, each request with a key of its own. */
function startTraffic(callers = 16): Traffic {
  const authorized: string[] = [];
  const failures: { request: Partial<AuthorizePaymentRequest>; error: ServiceError }[] = [];
  let paying = true;
  const finished = Array.from({ length: callers }, async () => {
    while (paying) {
      const request = randomRequest();
      try {
        const answer = await client.authorize(request, 10_000);
        expect(answer.status).toBe(AUTHORIZED);
        authorized.push(answer.paymentId);
      } catch (error) {
        failures.push({ request, error: error as ServiceError });
        await pause(20);
      }
    }
  });
  const traffic = {
    async stop() {
      paying = false;
      running.delete(traffic);
      await Promise.all(finished);
      return { authorized, failures };
    },
  };
  running.add(traffic);
  return traffic;
}

/** Every payment that was answered is stored, and what ended in an error can be repeated to find out. */
async function expectNothingLost({ authorized, failures }: Awaited<ReturnType<Traffic['stop']>>): Promise<void> {
  const repeated = await Promise.all(failures.map(({ request }) => client.authorize(request)));
  for (const { status, paymentId } of repeated) {
    expect([AUTHORIZED, DUPLICATE]).toContain(status);
    authorized.push(paymentId);
  }
  const stored = await system.database.query<{ count: bigint }>('select count(*) from payments');
  expect(stored[0]!.count).toBe(BigInt(new Set(authorized).size) + paidBefore);
  paidBefore = stored[0]!.count;
  expect(await auditBooks(system.database)).toEqual([]);
}
let paidBefore = BigInt(ACCOUNTS.length);

/** On a busy machine Redis is often slower than a payment waits for it, and the limiter is back on it late. */
const PATIENT_MS = 150_000;

async function eventually(condition: () => Promise<boolean>, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms`);
    await pause(100);
  }
}

describe('Redis', () => {
  test('stopped and started under traffic: no call fails, and local buckets still limit', async () => {
    const limited = await system.startApi({ RATE_LIMIT_CAPACITY: '3', RATE_LIMIT_REFILL_PER_SECOND: '1' });
    const traffic = startTraffic();
    await pause(300);
    await stack.redis.stop();
    await pause(300);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => limited.client.authorize({ ...randomRequest(), payerAccountId: 'nobody' })),
    );
    const codes = answers.map(({ error }) => error?.code);
    const turnedAway = codes.filter((code) => code === PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED).length;
    const decided = codes.filter((code) => code === PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_NOT_FOUND).length;
    // Three are in the bucket, and on a busy machine more flow back while the calls are made.
    expect(turnedAway).toBeGreaterThan(0);
    expect(decided).toBeGreaterThanOrEqual(3);
    expect(turnedAway + decided).toBe(codes.length);
    await stack.redis.start();
    await pause(500);
    const outcome = await traffic.stop();
    expect(outcome.failures).toEqual([]);
    paidBefore += BigInt(decided);
    await expectNothingLost(outcome);
  });

  test('stopped and started: the log says so once each way', { timeout: 3 * PATIENT_MS }, async () => {
    const traffic = startTraffic(4);
    // It is not on Redis again before that has been well for a while.
    const outages = () => logged(0).filter((message) => message.startsWith('the rate limiter is on'));
    await eventually(async () => outages().length % 2 === 0, PATIENT_MS);
    const from = api.log.length;
    await stack.redis.stop();
    await pause(1_500);
    await stack.redis.start();
    await eventually(async () => logged(from).includes('the rate limiter is on Redis again'), PATIENT_MS);
    await traffic.stop().then(expectNothingLost);
    expect(logged(from)).toEqual([
      expect.stringMatching(/^(Redis is unreachable|the rate limiter is on its own buckets: Redis fails or is slow)$/),
      expect.stringMatching(/^(Redis is unreachable|the rate limiter is on its own buckets: Redis fails or is slow)$/),
      'Redis is reachable again',
      'the rate limiter is on Redis again',
    ]);
  });
});

describe('Kafka', () => {
  test('stopped and started under traffic: payments go on, the outbox grows and drains in order', async () => {
    const traffic = startTraffic();
    await pause(300);
    await stack.kafka.kill();
    await pause(2_000);
    const [{ count: pending }] = (await system.database.query<{ count: bigint }>('select count(*) from outbox')) as [
      { count: bigint },
    ];
    expect(pending).toBeGreaterThan(0n);
    await stack.kafka.start();
    const outcome = await traffic.stop();
    expect(outcome.failures).toEqual([]);
    await expectNothingLost(outcome);
    await eventually(async () => (await system.database.query('select from outbox limit 1')).length === 0, 60_000);

    const consumer = await consumeEvents(stack.kafka.address, system.topic);
    const paid = () =>
      BigInt(
        new Set(consumer.events.flatMap((each) => each.authorized?.paymentId ?? each.declined?.paymentId ?? [])).size,
      );
    await consumer.until(() => paid() >= paidBefore);
    expect(paid()).toBe(paidBefore);
    expect(disorder(consumer.events)).toEqual([]);
    await consumer.close();
  });

  test('stopped and started: the relay says so once each way', { timeout: 240_000 }, async () => {
    const outages = (since: number) =>
      logged(since, relay).filter((message) => /^events (cannot be|are) sent to Kafka/.test(message));
    const traffic = startTraffic(2);
    // The one of the test before is over.
    await eventually(async () => outages(0).length % 2 === 0, 60_000);
    const from = relay.log.length;
    await stack.kafka.kill();
    await eventually(async () => logged(from, relay).includes('events cannot be sent to Kafka'), 60_000);
    await stack.kafka.start();
    await eventually(async () => logged(from, relay).includes('events are sent to Kafka again'), 60_000);
    await traffic.stop().then(expectNothingLost);
    expect(outages(from)).toEqual(['events cannot be sent to Kafka', 'events are sent to Kafka again']);
  });
});

describe('Postgres', () => {
  test.each([
    ['stopped in good order', () => stack.postgres.stop()],
    ['crashed', () => stack.postgres.kill()],
  ])(
    '%s and started under traffic: callers hear UNAVAILABLE and may repeat; nothing is lost or doubled',
    async (_how, end) => {
      const traffic = startTraffic();
      await pause(500);
      await end();
      await pause(3_000);
      await stack.postgres.start();
      await pause(1_500);
      const outcome = await traffic.stop();
      expect(outcome.authorized.length).toBeGreaterThan(0);
      expect(outcome.failures.length).toBeGreaterThan(0);
      for (const { error } of outcome.failures) {
        expect(error.code, error.message).toBe(status.UNAVAILABLE);
        expect(errorDetails(error).retryInfo?.retryDelay).toBeDefined();
      }
      await expectNothingLost(outcome);
    },
  );

  test('stopped and started under traffic: the log says so once each way, and of the calls so many lines', async () => {
    const from = api.log.length;
    const begunAt = performance.now();
    const traffic = startTraffic();
    await stack.postgres.stop();
    await pause(4_000);
    await stack.postgres.start();
    await eventually(async () => logged(from).includes('the database is available again'), 30_000);
    await traffic.stop().then(expectNothingLost);
    const messages = logged(from);
    const count = (message: string) => messages.filter((each) => each === message).length;
    for (const once of [
      'calls fail because the database is unavailable',
      'not serving: the database does not answer',
      'serving',
      'the database is available again',
    ]) {
      expect([once, count(once)]).toEqual([once, 1]);
    }
    expect(count('call failed')).toBeGreaterThan(0);
    // A hundred a second, for as long as calls failed.
    expect(count('call failed')).toBeLessThan((performance.now() - begunAt) / 10 + 100);
  });

  test('stopped: health says NOT_SERVING, and SERVING when it is back', async () => {
    const serving = () => health(api.address);
    expect(await serving()).toBe('SERVING');
    await stack.postgres.stop();
    await eventually(async () => (await serving()) === 'NOT_SERVING', 10_000);
    await stack.postgres.start();
    await eventually(async () => (await serving()) === 'SERVING', 10_000);
  });

  test('a connection lost after COMMIT was sent: the payment is found again by its id, not made twice', async () => {
    // Kills the sessions of the API again and again, so that some die around their commit.
    const traffic = startTraffic(8);
    for (let i = 0; i < 40; i++) {
      await system.database.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'payment-ledger-api'`,
      );
      await pause(50);
    }
    const outcome = await traffic.stop();
    for (const { error } of outcome.failures) expect(error.code, error.message).toBe(status.UNAVAILABLE);
    await expectNothingLost(outcome);
  });
});

describe('the API itself', () => {
  test('SIGTERM under traffic: what is in flight is answered, what comes later hears UNAVAILABLE', async () => {
    const leaving = await system.startApi();
    const answers: Promise<unknown>[] = [];
    for (let i = 0; i < 200; i++) {
      answers.push(leaving.client.authorize(randomRequest(), 10_000).catch((error: ServiceError) => error.code));
      if (i === 100) leaving.child.kill('SIGTERM');
      await pause(1);
    }
    expect(await leaving.stop()).toBe(0);
    const results = await Promise.all(answers);
    const failed = results.filter((result) => typeof result === 'number');
    expect(results.length - failed.length).toBeGreaterThan(50);
    expect(new Set(failed)).toEqual(new Set([status.UNAVAILABLE]));
    expect(await auditBooks(system.database)).toEqual([]);
  });

  test('SIGKILL under traffic: the books balance', async () => {
    const dying = await system.startApi();
    const answers = Array.from({ length: 300 }, () => dying.client.authorize(randomRequest()).catch(() => undefined));
    await pause(30);
    await dying.stop('SIGKILL');
    await Promise.all(answers);
    expect(await auditBooks(system.database)).toEqual([]);
  });
});
