import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kafkaClient, withAdmin } from '../../src/infra/kafka/client.ts';
import { consumeEvents } from '../../tools/events.ts';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { auditBooks } from '../support/books.ts';
import { type KafkaCluster, startKafkaCluster } from '../support/kafka-cluster.ts';
import { disorder } from '../support/order.ts';
import { silent } from '../support/relay.ts';
import { type ApiProcess, createSystem, type System } from '../support/system.ts';
import { startTraffic, type Traffic, until } from '../support/traffic.ts';
import { verifyEvents } from '../support/verify.ts';

const ACCOUNTS = ['a', 'b', 'c', 'd'];

describe('three brokers, of which two have each event before it counts as sent', () => {
  let cluster: KafkaCluster;
  let system: System;
  let api: ApiProcess;
  let traffic: Traffic;

  beforeAll(async () => {
    cluster = await startKafkaCluster();
    system = await createSystem({ kafkaBrokers: cluster.addresses });
    api = await system.startApi();
    for (let worker = 0; worker < 2; worker += 1) await system.startRelay({ KAFKA_REPLICATION_FACTOR: '3' });
    for (const account of ACCOUNTS) await api.client.openFunded(account, 1_000_000n);
  }, 400_000);
  afterAll(async () => {
    await traffic?.stop();
    await system?.close();
    await cluster?.remove();
  });

  const pending = async () =>
    Number((await system.database.query<{ n: bigint }>('select count(*) as n from outbox'))[0]!.n);
  /** Payments made from now on arrive on the topic. */
  async function eventsFlow(): Promise<void> {
    const [{ last }] = (await system.database.query<{ last: bigint }>(
      `select last_value as last from outbox_position_seq`,
    )) as [{ last: bigint }];
    await traffic.untilPaid(50);
    await until(async () => {
      const [row] = await system.database.query<{ lowest: bigint | null }>(
        'select min(position) as lowest from outbox',
      );
      return row!.lowest === null || row!.lowest > last + 40n;
    }, 'events that are sent');
  }

  test('the topic is made with three replicas of which two must be in sync', async () => {
    const kafka = kafkaClient(
      { brokers: cluster.addresses.split(','), clientId: 'test', tls: undefined, sasl: undefined },
      silent,
    );
    await withAdmin(kafka, async (admin) => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [system.topic] });
      expect(topics[0]!.partitions.map(({ replicas }) => replicas.length)).toEqual(Array(16).fill(3));
    });
  });

  test('one is killed under load, then a second, then both come back: nothing is lost, and the order is kept', async () => {
    traffic = startTraffic([api.client], ACCOUNTS);
    await eventsFlow();
    const [first, second] = cluster.brokers;
    await first!.kill();
    const killedAt = performance.now();
    await eventsFlow();
    console.log(
      `one of three killed: 50 payments and their events took ${Math.round(performance.now() - killedAt)} ms`,
    );
    await second!.kill();
    // One alone takes nothing: events are pending, and payments go on.
    const before = await pending();
    await traffic.untilPaid(200);
    await until(async () => (await pending()) > before + 100, 'events that are pending');
    await Promise.all([first!.start(), second!.start()]);
    await eventsFlow();
    await traffic.stop();
    await until(async () => (await pending()) === 0, 'an empty outbox');

    expect(traffic.failed).toEqual([]);
    const stored = traffic.paid.length + ACCOUNTS.length;
    // One for each account that was opened, the external one among them.
    const events = stored + ACCOUNTS.length + 1;
    const consumer = await consumeEvents(cluster.addresses, system.topic);
    const distinct = () => new Set(consumer.events.map(({ eventId }) => eventId)).size;
    await consumer.until(() => distinct() >= events, 120_000);
    expect(distinct()).toBe(events);
    expect(disorder(consumer.events)).toEqual([]);
    console.log(`${stored} payments, ${consumer.events.length} records`);
    await consumer.close();
    const verified = await verifyEvents({
      DATABASE_URL: applicationAddress(system.database.url),
      KAFKA_BROKERS: cluster.addresses,
      KAFKA_TOPIC: system.topic,
    });
    expect(verified.code, verified.output).toBe(0);
    expect(await auditBooks(system.database)).toEqual([]);
  }, 500_000);
});
