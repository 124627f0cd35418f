import { ulid, ulidToUUID } from 'ulid';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { shardOf } from '../../src/app/domain/shard.ts';
import { auditEvents } from '../../src/app/reconciliation/audit-events.ts';
import { AUDIT_LIMITS, type AuditReport, auditLately } from '../../src/app/reconciliation/audit-lately.ts';
import { monotonicUlids } from '../../src/app/ulid.ts';
import { withAdmin } from '../../src/infra/kafka/client.ts';
import { kafkaEventLog } from '../../src/infra/kafka/event-log.ts';
import { ensureTopic } from '../../src/infra/kafka/topic.ts';
import { postgresDeadLetters } from '../../src/infra/postgres/outbox/dead-letters.ts';
import { postgresAccountLedger } from '../../src/infra/postgres/payments/change-account.ts';
import { postgresAuditRecords, sampleAudits } from '../../src/infra/postgres/reconciliation/audit-records.ts';
import { postgresAuditedEvents } from '../../src/infra/postgres/reconciliation/audited-events.ts';
import { runLedgerHere } from '../support/command-line.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import {
  createRelay,
  createTopic,
  deleteTopic,
  listGroups,
  OutboxWriter,
  readTopic,
  SHARDS,
  type TestEvent,
  testKafka,
} from '../support/relay.ts';
import { createSystem } from '../support/system.ts';

const TOO_LARGE = 20_000;
const WELL = { rejected: 0, pending: 0, missing: 0, missingIds: [], unverifiable: 0, orphaned: [] };
const KEYS = Array.from({ length: 30 }, (_, index) => `acc-${index}`);

/** As the event of a payment that these tests make. */
function payloadOf(paymentId: string, payerAccountId: string): Record<string, string> {
  return {
    paymentId,
    payerAccountId,
    payeeAccountId: 'acc-payee',
    amountCents: '100',
    currency: 'RUB',
    declinedAt: '2026-11-24T02:45:01.123Z',
  };
}

describe('an audit of events', () => {
  let database: TestDatabase;
  let topic: string;
  let writer: OutboxWriter;

  beforeEach(async () => {
    database = await createDatabase();
    topic = await createTopic({ 'max.message.bytes': '10000' });
    writer = new OutboxWriter(database);
  });
  afterEach(() => database.close());

  /** Payments, one for each key, with their events in the outbox. */
  async function pay(keys: readonly string[], options?: { padding: number }): Promise<TestEvent[]> {
    const events = await writer.write(keys, options);
    await database.query(
      `insert into payments
       select id::uuid, payer, 'acc-payee', 100, 'RUB', 'DECLINED', '', 'INSUFFICIENT_FUNDS', 'no', null, null, now()
       from unnest($1::text[], $2::text[]) as event (id, payer)`,
      [events.map(({ eventId }) => ulidToUUID(eventId)), keys],
    );
    await database.query(
      `update outbox set type = 'payment.declined.v1', payload = payload || '{"declinedAt": "2026-11-24T02:45:01.123Z"}'
       where id = any ($1::uuid[])`,
      [events.map(({ eventId }) => ulidToUUID(eventId))],
    );
    return events;
  }

  async function send(to = topic): Promise<void> {
    const { relay, close } = createRelay(database, to);
    await expect
      .poll(async () => {
        await relay.runOnce();
        return database.query('select from outbox');
      })
      .toHaveLength(0);
    await relay.stop(5_000);
    await close();
  }

  /** As a fault of the relay could do it: the event is gone and was never sent. */
  async function lose({ eventId }: TestEvent): Promise<void> {
    const lost = await database.query('delete from outbox where id = $1 returning id', [ulidToUUID(eventId)]);
    expect(lost).toHaveLength(1);
  }

  async function sendAgain({ eventId, key }: TestEvent): Promise<void> {
    await database.query(
      `insert into outbox (shard, id, aggregatetype, aggregateid, type, payload, headers, created_at)
       values ($1, $2, 'payment', $3, 'payment.declined.v1', $4, '{"replayed": "true"}', now())`,
      [shardOf(key, SHARDS), ulidToUUID(eventId), key, JSON.stringify(payloadOf(eventId, key))],
    );
    await send();
  }

  const sources = (of = topic) => ({
    events: postgresAuditedEvents(database.application),
    log: kafkaEventLog(testKafka(), of),
  });

  /** Of all payments until now. */
  function audit(limits: Partial<typeof AUDIT_LIMITS> = {}, of = topic): Promise<AuditReport> {
    const records = postgresAuditRecords(database.application);
    return auditLately(sources(of), records, new AbortController().signal, {
      ...AUDIT_LIMITS,
      committedWithinMs: -2,
      ...limits,
    });
  }

  test('finds the event of every payment, repeats and all, and leaves no consumer group behind', async () => {
    const [first] = await pay(KEYS);
    await send();
    await sendAgain(first!);
    await sendAgain(first!);
    expect(await audit()).toEqual({ ...WELL, paymentsAudited: 30 });
    expect(await sampleAudits(database.application)).toMatchObject({ missing: 0, orphaned: 0, unverifiable: 0 });
    const groups = await listGroups();
    expect(groups.filter(({ groupId }) => groupId.includes(topic))).toEqual([]);
  });

  test('knows the events of changes of accounts, and names one that is lost', async () => {
    await database.query(`
      insert into accounts values ('acc-1', 'RUB', 'CUSTOMER', 0, now());
      insert into account_balances (account_id) values ('acc-1')`);
    const changes = postgresAccountLedger(database.application, async () => SHARDS);
    const newId = monotonicUlids();
    const changeAccount = async (revision: bigint) => {
      const changeId = newId();
      await changes.change('acc-1', ({ account, at }) => {
        const after = { ...account, revision, overdraftLimitCents: revision, changedAt: at };
        const change = { changeId, kind: 'UPDATED', account: after, reason: '', caller: '' } as const;
        return { write: { change, traceparent: undefined } };
      });
      return { eventId: changeId } as TestEvent;
    };
    await pay(KEYS);
    await changeAccount(2n);
    await send();
    expect(await audit()).toEqual({ ...WELL, paymentsAudited: KEYS.length + 1 });
    const lost = await changeAccount(3n);
    await lose(lost);
    await pay(['acc-1']);
    await send();
    const found = { ...WELL, missing: 1, missingIds: [lost.eventId] };
    expect(await audit()).toEqual({ ...found, paymentsAudited: 2 });
    await send();
    expect(await audit()).toEqual({ ...found, paymentsAudited: 0 });
    // As a replay sends it, but for one revision, and then as it was.
    const again = (revision: string) =>
      database.query(
        `insert into outbox (shard, id, aggregatetype, aggregateid, type, payload, headers, created_at)
         values ($1, $2, 'account', 'acc-1', 'account.updated.v1', $3, '{"replayed": "true"}', now())`,
        [
          shardOf('acc-1', SHARDS),
          ulidToUUID(lost.eventId),
          { changeId: lost.eventId, accountId: 'acc-1', revision, currency: 'RUB' },
        ],
      );
    await again('4');
    await send();
    expect(await audit()).toEqual({ ...found, paymentsAudited: 0 });
    await again('3');
    await send();
    expect(await audit()).toEqual({ ...WELL, paymentsAudited: 0 });
  });

  test('names a payment whose event was deleted without being sent, each time, until it is sent', async () => {
    const payments = await pay(KEYS);
    const lost = payments[7]!;
    await lose(lost);
    await send();
    const found = { ...WELL, missing: 1, missingIds: [lost.eventId] };
    expect(await audit()).toEqual({ ...found, paymentsAudited: 30 });
    expect(await audit()).toEqual({ ...found, paymentsAudited: 0 });
    await pay(KEYS);
    await send();
    expect(await audit()).toEqual({ ...found, paymentsAudited: 30 });
    expect(await sampleAudits(database.application)).toMatchObject({ missing: 1 });
    await sendAgain(lost);
    expect(await audit()).toEqual({ ...WELL, paymentsAudited: 0 });
    expect(await sampleAudits(database.application)).toMatchObject({ missing: 0 });
  });

  test('raises no alarm for events that are pending, blocked, dead letters or were discarded', async () => {
    const [dead] = await pay(['acc-1'], { padding: TOO_LARGE });
    const [discarded] = await pay(['acc-2'], { padding: TOO_LARGE });
    await pay(['acc-1', 'acc-3']);
    await send();
    const deadLetters = postgresDeadLetters(database.application);
    await deadLetters.discard(discarded!.eventId);
    await pay(['acc-3']);
    expect(await database.query('select from outbox_blocked')).toHaveLength(1);
    // The dead letter, the one it blocks, and the one that has just come.
    expect(await audit()).toEqual({ ...WELL, paymentsAudited: 5, pending: 3 });

    await send();
    expect(await audit()).toEqual({ ...WELL, paymentsAudited: 0, pending: 2 });
    await deadLetters.discard(dead!.eventId);
    await send();
    expect(await audit()).toEqual({ ...WELL, paymentsAudited: 0 });
  });

  test('notices when an event that was pending before is lost', async () => {
    const [lost] = await pay(KEYS);
    expect(await audit()).toEqual({ ...WELL, paymentsAudited: 30, pending: 30 });
    await lose(lost!);
    await send();
    expect(await audit()).toEqual({ ...WELL, paymentsAudited: 0, missing: 1, missingIds: [lost!.eventId] });
  });

  test('goes page by page and, stopped half-way, goes on where it was', async () => {
    const payments = [...(await pay(KEYS)), ...(await pay(KEYS)), ...(await pay(KEYS))];
    const lost = [payments[5]!, payments[44]!, payments[89]!];
    for (const event of lost) await lose(event);
    await send();
    const pages = { pageSize: 8, mostPages: 4 };
    const audited: number[] = [];
    for (let round = 0; round < 4; round++) audited.push((await audit(pages)).paymentsAudited);
    expect(audited).toEqual([32, 32, 26, 0]);
    expect((await audit(pages)).missingIds).toEqual(lost.map(({ eventId }) => eventId));
    const whole = await auditEvents(sources(), new Date(0), new Date(Date.now() + 2), () => undefined, 7);
    expect(whole).toEqual({
      paymentsAudited: 90,
      pending: 0,
      missing: lost.map(({ eventId }) => eventId),
      unverifiable: 0,
      orphaned: [],
    });
  });

  test('reports records that belong to no payment', async () => {
    await pay(KEYS);
    await send();
    const nobody = ulid(Date.now() - 1_000);
    const tomorrow = ulid(Date.now() + 86_400_000);
    const producer = testKafka().producer({ allowAutoTopicCreation: false });
    await producer.connect();
    await producer.send({
      topic,
      messages: [nobody, tomorrow, 'x'].map((ce_id) => ({ partition: 3, value: '{}', headers: { ce_id } })),
    });
    await producer.send({ topic, messages: [{ partition: 3, value: '{}' }] });
    await producer.disconnect();
    await pay(KEYS);
    await send();
    const { orphaned, ...others } = await audit();
    expect(others).toMatchObject({ missing: 0, paymentsAudited: 60 });
    for (const id of [nobody, tomorrow, 'x', '']) expect(orphaned).toContainEqual(expect.stringContaining(`"${id}"`));
    expect(orphaned).toHaveLength(4);
    expect(await sampleAudits(database.application)).toMatchObject({ orphaned: 4 });
  });

  test('names every record without a payment, however many a failover has left', async () => {
    await pay(KEYS);
    await send();
    const lost = Array.from({ length: 150 }, () => ulid());
    const producer = testKafka().producer({ allowAutoTopicCreation: false });
    await producer.connect();
    const records = lost.map((ce_id) => ({ partition: 3, value: '{}', headers: { ce_id } }));
    // The topic takes small batches only.
    while (records.length > 0) await producer.send({ topic, messages: records.splice(0, 10) });
    await producer.disconnect();
    await pay(KEYS);
    await send();
    const { orphaned } = await audit();
    const named = orphaned.map((sentence) => /"(\w+)"/.exec(sentence)![1]);
    expect(named.sort()).toEqual(lost.sort());
  });

  test('reports records that are not what their payment calls for, and misses the event', async () => {
    const [wrong] = await pay(['acc-1', 'acc-2']);
    await lose(wrong!);
    await send();
    const producer = testKafka().producer({ allowAutoTopicCreation: false });
    await producer.connect();
    const headers = { ce_id: wrong!.eventId, ce_type: 'payment.declined.v1' };
    const partition = shardOf('acc-1', SHARDS);
    const payload = payloadOf(wrong!.eventId, 'acc-1');
    const value = JSON.stringify(payload);
    await producer.send({
      topic,
      messages: [
        { key: 'acc-2', partition, value, headers },
        { key: 'acc-1', partition: (partition + 1) % SHARDS, value, headers },
        { key: 'acc-1', partition, value, headers: { ...headers, ce_type: 'payment.authorized.v1' } },
        { key: 'acc-1', partition, value: JSON.stringify({ ...payload, amountCents: '100000' }), headers },
      ],
    });
    await producer.disconnect();
    const { orphaned, ...others } = await audit();
    expect(others).toMatchObject({ missing: 1, missingIds: [wrong!.eventId] });
    for (const what of ['has key', 'belongs in partition', 'has type', 'has amountCents "100000"'])
      expect(orphaned).toContainEqual(expect.stringContaining(what));
  });

  test('does not blame a topic that was made after the payments', async () => {
    const old = ulid(Date.now() - 2 * 3_600_000);
    await database.query(
      `insert into payments
       values ($1, 'acc-1', 'acc-payee', 100, 'RUB', 'DECLINED', '', 'INSUFFICIENT_FUNDS', 'no', null, null, now())`,
      [ulidToUUID(old)],
    );
    await pay(KEYS);
    await send();
    expect(await audit({ pageSize: 1, mostPages: 1 })).toMatchObject({
      missing: 0,
      unverifiable: 1,
      paymentsAudited: 1,
    });
    expect(await audit({ pageSize: 10 })).toMatchObject({ missing: 0, unverifiable: 0, paymentsAudited: 30 });
  });

  test('audits nothing while more events than it can compare with are in the outbox', async () => {
    await pay(KEYS);
    expect(await audit({ mostPending: 10 })).toMatchObject({ paymentsAudited: 0 });
    await send();
    expect(await audit({ mostPending: 10 })).toEqual({ ...WELL, paymentsAudited: 30 });
  });

  test('does not blame what retention has removed', async () => {
    const key = 'acc-1';
    for (let round = 0; round < 10; round++) await pay([key]);
    await send();
    await removeRecords(shardOf(key, SHARDS));
    const [lost] = await pay(KEYS.filter((other) => shardOf(other, SHARDS) !== shardOf(key, SHARDS)));
    await lose(lost!);
    await send();
    expect(await audit()).toMatchObject({ unverifiable: 10, missing: 1, missingIds: [lost!.eventId] });
    expect(await sampleAudits(database.application)).toMatchObject({ unverifiable: 10 });
    // What was lost before retention came stays known.
    await removeRecords(shardOf(lost!.key, SHARDS));
    expect(await audit()).toMatchObject({ missing: 1 });
  });

  test('knows what is lost in a partition of which retention has only removed what was audited', async () => {
    const key = 'acc-1';
    await pay([key, key, key]);
    await send();
    await audit();
    // As it is once the audited events are older than the slack for clocks.
    await database.query('update event_audits set offsets[$1] = 3', [shardOf(key, SHARDS) + 1]);
    await removeRecords(shardOf(key, SHARDS));
    const [lost] = await pay([key]);
    await lose(lost!);
    expect(await audit()).toEqual({ ...WELL, paymentsAudited: 1, missing: 1, missingIds: [lost!.eventId] });
  });

  async function removeRecords(partition: number): Promise<void> {
    await withAdmin(testKafka(), async (admin) => {
      // kafkajs finds the partition's leader only for topics it has met.
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: '-1' }] });
    });
  }

  test('does not blame another topic for what went to the first', async () => {
    await pay(KEYS);
    await send();
    await audit();
    await pay(KEYS);
    await send();
    const other = await createTopic();
    expect(await audit({}, other)).toEqual({ ...WELL, paymentsAudited: 30, unverifiable: 30 });
  });

  test('does not blame a topic that was made anew under its name for what the first had', async () => {
    // Long enough ago that the audit leaves their offsets behind.
    const paidAtMs = Date.now() - 30 * 60_000;
    const ids = KEYS.map((_, n) => ulid(paidAtMs + n));
    await database.query(
      `insert into payments
       select id::uuid, payer, 'acc-payee', 100, 'RUB', 'DECLINED', '', 'INSUFFICIENT_FUNDS', 'no', null, null, now()
       from unnest($1::text[], $2::text[]) as payment (id, payer)`,
      [ids.map(ulidToUUID), KEYS],
    );
    const producer = testKafka().producer({ allowAutoTopicCreation: false });
    await producer.connect();
    const headers = (ce_id: string) => ({ ce_id, ce_type: 'payment.declined.v1' });
    for (const [n, key] of KEYS.entries()) {
      const value = JSON.stringify(payloadOf(ids[n]!, key));
      const place = { key, partition: shardOf(key, SHARDS), timestamp: String(paidAtMs + n) };
      await producer.send({ topic, messages: [{ ...place, value, headers: headers(ids[n]!) }] });
    }
    await producer.disconnect();
    expect(await audit()).toEqual({ ...WELL, paymentsAudited: 30 });

    await deleteTopic(topic);
    await createTopic({}, SHARDS, topic);
    // More than before, so that the old offsets lie within the new topic.
    for (let round = 0; round < 3; round++) await pay(KEYS);
    await send();
    expect(await audit()).toMatchObject({ missing: 0, orphaned: [], paymentsAudited: 90 });
  });

  test('counts once when two start from the same place', async () => {
    await pay(KEYS);
    await send();
    const outcomes = await Promise.allSettled([audit(), audit()]);
    const counted = outcomes.filter(({ status }) => status === 'fulfilled');
    const [{ n }] = (await database.query<{ n: number }>(
      'select sum(payments_audited)::int as n from event_audits',
    )) as [{ n: number }];
    expect(n).toBe(30);
    expect(counted.length).toBeGreaterThanOrEqual(1);
  });

  test('rejects audits that went beyond the present, says so, and does their work again', async () => {
    const payments = await pay(KEYS);
    await lose(payments[7]!);
    await send();
    // By a clock that was a year ahead.
    await audit({ committedWithinMs: -365 * 86_400_000 });
    await database.query('truncate unconfirmed_events');
    const found = { ...WELL, missing: 1, missingIds: [payments[7]!.eventId] };
    expect(await audit()).toEqual({ ...found, rejected: 1, paymentsAudited: 30 });
    await database.query("update event_audits set audited_at = audited_at + interval '1 year' where not rejected");
    expect(await audit()).toEqual({ ...found, rejected: 1, paymentsAudited: 30 });
    expect(await audit()).toEqual({ ...found, paymentsAudited: 0 });
  });

  test('stops when it is told to', async () => {
    await pay(KEYS);
    await send();
    const records = postgresAuditRecords(database.application);
    const stopped = auditLately(sources(), records, AbortSignal.abort(new Error('stop')), {
      ...AUDIT_LIMITS,
      committedWithinMs: -2,
    });
    await expect(stopped).rejects.toThrow('stop');
    expect(await records.last()).toBeUndefined();
  });

  test('runs by hand and tells by its exit code', async () => {
    await pay(KEYS);
    await send();
    expect(await byHand()).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('every payment and account change has its event'),
    });
    const [lost] = await pay(['acc-1', 'acc-2']);
    await lose(lost!);
    await send();
    const named = `WRONG: payment or account change ${lost!.eventId} has no event`;
    expect(await byHand()).toMatchObject({ code: 1, stdout: expect.stringContaining(named) });
    expect((await readTopic(topic, 31)).length).toBe(31);
  });

  function byHand() {
    const env = { DATABASE_URL: database.url, KAFKA_BROKERS: inject('kafkaBrokers'), KAFKA_TOPIC: topic };
    return runLedgerHere(['verify', '--events'], env);
  }
});

describe('a relay', () => {
  test('audits by itself, and tells of a payment that has no event', async () => {
    const system = await createSystem();
    // Of two payments before the hour that the schedule leaves alone, one was sent in its time.
    const paidAtMs = Date.now() - 2 * 3_600_000;
    const [sent, lost] = [ulid(paidAtMs), ulid(paidAtMs + 1)];
    await system.database.query(
      `insert into payments
       select id, 'acc-1', 'acc-payee', 100, 'RUB', 'DECLINED', '', 'INSUFFICIENT_FUNDS', 'no', null, null, now()
       from unnest($1::uuid[]) as id`,
      [[sent, lost].map(ulidToUUID)],
    );
    await ensureTopic(testKafka(), { topic: system.topic, partitions: SHARDS, replicationFactor: 1, retentionMs: -1 });
    const producer = testKafka().producer({ allowAutoTopicCreation: false, retry: { retries: 10 } });
    await producer.connect();
    const partition = shardOf('acc-1', SHARDS);
    const headers = { ce_id: sent, ce_type: 'payment.declined.v1' };
    const value = JSON.stringify(payloadOf(sent, 'acc-1'));
    const message = { key: 'acc-1', partition, timestamp: String(paidAtMs), value, headers };
    await producer.send({ topic: system.topic, messages: [message] });
    await producer.disconnect();
    const relay = await system.startRelay({ AUDIT_EVENTS_EVERY_MS: '500' });
    const metrics = async () => (await fetch(`http://${relay.ready['metrics']}/metrics`)).text();
    await expect.poll(metrics).toContain('payment_ledger_events_missing 1\n');
    await expect.poll(() => relay.log.some((line) => line.includes(lost))).toBe(true);
    await system.close();
  });
});
