import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { replay } from '../../src/app/replay.ts';
import { withAdmin } from '../../src/infra/kafka/client.ts';
import { postgresHistory } from '../../src/infra/postgres/outbox/account-history.ts';
import { postgresReplayOutbox } from '../../src/infra/postgres/outbox/replay.ts';
import { type ConsumerProcess, startConsumer } from '../support/consumer-process.ts';
import { testKafka } from '../support/relay.ts';
import { type ApiProcess, createSystem, type System } from '../support/system.ts';

const ACCOUNTS = ['acc-a', 'acc-b', 'acc-c', 'acc-d', 'acc-e', 'acc-f'];
/** 256 payments, and the openings of these accounts and the external one. */
const EVENTS = 256 + ACCOUNTS.length + 1;
/** A killed member is missed after half a minute, on a busy machine later. */
const TIMEOUT_MS = 180_000;

describe('the example consumer as a process', () => {
  const group = `views-${randomUUID()}`;
  const name = `views_${randomUUID().replaceAll('-', '')}`;
  let system: System;
  let api: ApiProcess;
  let url: string;
  let views: pg.Pool;
  const consumers: ConsumerProcess[] = [];

  beforeAll(async () => {
    system = await createSystem();
    await system.startRelay();
    api = await system.startApi();
    for (const account of ACCOUNTS) await api.client.openFunded(account, 1_000n);
    const address = new URL(system.database.url);
    address.pathname = `/${name}`;
    url = address.href;
    views = new pg.Pool({ connectionString: url });
    views.on('error', () => undefined);
  });
  afterAll(async () => {
    await Promise.all(consumers.map((consumer) => consumer.stop('SIGKILL')));
    await views?.end();
    await system?.database.query(`drop database if exists ${name} with (force)`);
    await system?.close();
  });

  async function start(): Promise<ConsumerProcess> {
    const consumer = startConsumer(process.execPath, ['examples/consumer/main.ts'], {
      CONSUMER_DATABASE_URL: url,
      KAFKA_BROKERS: inject('kafkaBrokers'),
      KAFKA_TOPIC: system.topic,
      CONSUMER_GROUP: group,
    });
    consumers.push(consumer);
    await expect.poll(() => consumer.lines.join('\n'), { timeout: TIMEOUT_MS }).toContain('consuming ');
    return consumer;
  }

  const pay = (count: number) =>
    Promise.all(
      Array.from({ length: count }, (_, n) =>
        api.client.authorize({
          payerAccountId: ACCOUNTS[n % 6]!,
          payeeAccountId: ACCOUNTS[(n + 1 + (n % 5)) % 6]!,
          amountCents: BigInt(1 + (n % 9) * 50),
        }),
      ),
    );
  const seen = async () => Number((await views.query('select count(*) from seen_events')).rows[0].count);
  const untilSeen = (count: number) =>
    expect.poll(seen, { timeout: TIMEOUT_MS, interval: 50 }).toBeGreaterThanOrEqual(count);

  /** How many records the topic has, and how many of them the group has committed. */
  const offsets = () =>
    withAdmin(testKafka(), async (admin) => {
      const ends = await admin.fetchTopicOffsets(system.topic);
      const [committed] = await admin.fetchOffsets({ groupId: group, topics: [system.topic] });
      const sum = (of: readonly { offset: string }[]) =>
        of.reduce((all, { offset }) => all + Math.max(0, Number(offset)), 0);
      return { records: sum(ends), committed: sum(committed?.partitions ?? []) };
    });
  const untilCaughtUp = (records: number) =>
    expect.poll(offsets, { timeout: TIMEOUT_MS, interval: 500 }).toEqual({ records, committed: records });

  async function expectTruth(): Promise<void> {
    const truth = await system.database.query<Record<string, unknown>>(
      `select account_id, currency, available_cents::text as balance_cents, version::text as version
       from account_balances order by account_id`,
    );
    const { rows } = await views.query(
      `select account_id, currency, balance_cents::text as balance_cents, version::text as version
       from account_views order by account_id`,
    );
    expect(rows).toEqual(truth);
    expect((await views.query('select * from missing_versions')).rows).toEqual([]);
  }

  test('has every balance right although members come, go and are killed, and events are replayed', async () => {
    const first = await start();
    await pay(100);
    await untilSeen(20);
    const second = await start();
    await pay(100);
    await untilSeen(120);
    await first.stop('SIGKILL');
    await pay(50);
    expect(await second.stop('SIGTERM')).toBe(0);
    await start();
    const past = { kind: 'TIME', from: new Date(0), to: new Date(Date.now() + 60_000) } as const;
    const pool = system.database.application;
    expect(await replay(postgresHistory(pool), postgresReplayOutbox(pool), past, () => undefined)).toBe(EVENTS);
    await untilCaughtUp(2 * EVENTS);
    expect(await seen()).toBe(EVENTS);
    await expectTruth();
  }, 600_000);

  test('takes nothing twice if it ended before it committed any offset', async () => {
    expect(await consumers.at(-1)!.stop('SIGTERM')).toBe(0);
    await expect
      .poll(
        () =>
          withAdmin(testKafka(), (admin) => admin.resetOffsets({ groupId: group, topic: system.topic, earliest: true }))
            .then(() => 'reset')
            .catch(String),
        { timeout: TIMEOUT_MS, interval: 500 },
      )
      .toBe('reset');
    const again = await start();
    await untilCaughtUp(2 * EVENTS);
    const repeats = () => again.lines.filter((line) => line.endsWith('(a repeat)')).length;
    await expect.poll(repeats).toBeGreaterThanOrEqual(2 * EVENTS);
    expect(await seen()).toBe(EVENTS);
    await expectTruth();
  }, 600_000);

  test('leaves out what is not of the ledger, and does not pass an event that it cannot read', async () => {
    const consumer = consumers.at(-1)!;
    const producer = testKafka().producer({ allowAutoTopicCreation: false });
    await producer.connect();
    const headers = { ce_id: '01M85Q3TTE820EZ9PCVSPH2JRN', ce_type: 'payment.authorized.v1' };
    await producer.send({
      topic: system.topic,
      messages: [
        { partition: 0, value: 'hello' },
        { partition: 0, value: '{"paymentId": "x"}', headers },
      ],
    });
    await producer.disconnect();
    const log = () => consumer.lines.join('\n');
    await expect.poll(log, { timeout: TIMEOUT_MS }).toContain('of partition 0 is no CloudEvent');
    await expect
      .poll(log, { timeout: TIMEOUT_MS })
      .toMatch(
        /comes again: Event 01M85Q3TTE820EZ9PCVSPH2JRN \(payment\.authorized\.v1\) lacks the state of its payer.*comes again: Event/s,
      );
    expect(await seen()).toBe(EVENTS);
    expect(await consumer.stop('SIGTERM')).toBe(0);
  }, 600_000);

  test('says what is wrong with its settings, and ends', async () => {
    const run = (args: string[], env: Record<string, string>) =>
      startConsumer(process.execPath, ['examples/consumer/main.ts', ...args], env);
    const help = run(['--help'], {});
    expect(await help.exited).toBe(0);
    expect(help.lines.join('\n')).toContain('npm run consumer');
    const unset = run([], { KAFKA_BROKERS: 'nowhere' });
    expect(await unset.exited).toBe(2);
    expect(unset.lines).toEqual([
      'CONSUMER_DATABASE_URL: must be a URL that starts with postgres://',
      'KAFKA_BROKERS: must be host:port, comma-separated',
    ]);
    const unreachable = run([], { CONSUMER_DATABASE_URL: 'postgres://127.0.0.1:1/views' });
    expect(await unreachable.exited).toBe(1);
    expect(unreachable.lines.join('\n')).toContain('ECONNREFUSED');
  });
});
