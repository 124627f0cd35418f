import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { ulidToUuid, uuidToUlid } from '../../src/app/ulid.ts';
import { migrate } from '../../src/cli/migrate.ts';
import { PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import { consumeEvents, endOffsets, type ReceivedEvent } from '../../tools/events.ts';
import { applicationAddress, createApplicationLogin } from '../../tools/stack/postgres.ts';
import { auditBooks } from '../support/books.ts';
import { openDatabase } from '../support/database.ts';
import {
  findPostgres,
  type PostgresServer,
  type PostgresServers,
  postgresServers,
  rows,
} from '../support/postgres-servers.ts';
import { testKafka } from '../support/relay.ts';
import { type SwitchingProxy, startSwitchingProxy } from '../support/switching-proxy.ts';
import { type ApiProcess, type System, systemOn } from '../support/system.ts';
import { failureKinds, startTraffic, until } from '../support/traffic.ts';
import { verifyEvents } from '../support/verify.ts';

const postgres = await findPostgres();
if (typeof postgres === 'string') console.warn(`SKIPPED: failover of Postgres was not tried: ${postgres}`);

const ACCOUNTS = ['a', 'b', 'c', 'd'];

// A streaming standby falls behind, the primary crashes, the standby is promoted, and API and
// relay, which go on all the while, reach it at the same address as before.
describe.skipIf(typeof postgres === 'string')('a standby that lags is promoted under load', () => {
  let servers: PostgresServers;
  let primary: PostgresServer;
  let standby: PostgresServer;
  let proxy: SwitchingProxy;
  let system: System;
  let api: ApiProcess;

  beforeEach(async () => {
    if (typeof postgres === 'string') throw new Error(postgres);
    servers = await postgresServers(postgres.programs);
    primary = await servers.create('primary', {});
    await migrate(primary.address);
    await createApplicationLogin(primary.address);
    await servers.run(
      'pg_basebackup',
      ...['-h', '127.0.0.1', '-p', String(primary.port), '-D', join(servers.folder, 'standby')],
      ...['--write-recovery-conf', '--create-slot', '--slot=standby', '--checkpoint=fast'],
    );
    // By this name the primary knows it in synchronous_standby_names.
    await appendFile(join(servers.folder, 'standby/postgresql.auto.conf'), "cluster_name = 'standby'\n");
    standby = await servers.startOn('standby', {});
    proxy = await startSwitchingProxy(applicationAddress(primary.address));
    system = systemOn({
      databaseUrl: proxy.url,
      redisUrl: inject('redisUrl'),
      kafkaBrokers: inject('kafkaBrokers'),
    });
    api = await system.startApi();
    await system.startRelay();
    for (const account of ACCOUNTS) await api.client.openFunded(account, 1_000_000n);
  }, 300_000);
  afterEach(async () => {
    await system?.close();
    await proxy?.close();
    await servers?.remove();
  });

  const verify = () =>
    verifyEvents({
      DATABASE_URL: applicationAddress(standby.address),
      KAFKA_BROKERS: inject('kafkaBrokers'),
      KAFKA_TOPIC: system.topic,
    });

  async function storedIn(ids: readonly string[]): Promise<Set<string>> {
    const sql = 'select payment_id from payments union all select change_id from account_changes';
    const uuids = await rows(standby.address, sql);
    const stored = new Set(uuids.map(({ payment_id: id }) => uuidToUlid(String(id))));
    return new Set(ids.filter((id) => stored.has(id)));
  }

  /** Ids on the topic of payments that the promoted server does not have. */
  async function sentWithoutPayment(): Promise<string[]> {
    const consumer = await consumeEvents(inject('kafkaBrokers'), system.topic);
    const ends = await endOffsets(testKafka(), system.topic);
    const arrived = (events: readonly ReceivedEvent[]) =>
      ends.every(
        ({ partition, offset }) => events.filter((event) => event.partition === partition).length === Number(offset),
      );
    await consumer.until(arrived);
    await consumer.close();
    const sent = [...new Set(consumer.events.map(({ eventId }) => eventId))];
    const stored = await storedIn(sent);
    return sent.filter((id) => !stored.has(id)).sort();
  }

  /** Payments under load until the standby has stood still for a while, then the crash and the promotion. */
  async function failOver(paidWhileLagging: (traffic: ReturnType<typeof startTraffic>) => Promise<void>) {
    const traffic = startTraffic([api.client], ACCOUNTS, 4);
    await traffic.untilPaid(200);
    process.kill(await standby.backend('walreceiver'), 'SIGSTOP');
    await paidWhileLagging(traffic);
    const crashedAt = performance.now();
    await primary.kill();
    const answered = traffic.paid.map(({ paymentId }) => paymentId);
    await rows(standby.address, 'select pg_promote(wait => false)');
    // A walreceiver that was stopped cannot end by itself when it is asked to.
    process.kill(await standby.backend('walreceiver'), 'SIGCONT');
    await until(
      async () => (await rows(standby.address, 'select pg_is_in_recovery() as yes'))[0]!['yes'] === false,
      'the promotion',
    );
    proxy.switchTo(applicationAddress(standby.address));
    await traffic.untilPaid(100);
    const outageMs = Math.round(performance.now() - crashedAt);
    await traffic.stop();
    await until(
      async () => (await rows(standby.address, 'select from outbox limit 1')).length === 0,
      'an empty outbox',
    );
    return { ...traffic, answered, outageMs };
  }

  async function booksBalance(): Promise<void> {
    const database = openDatabase(standby.address);
    expect(await auditBooks(database)).toEqual([]);
    await database.close();
  }

  test('asynchronous: payments that were answered are lost, and every event of theirs that was sent is named', async () => {
    const { paid, failed, answered, outageMs } = await failOver(async (traffic) => {
      // More than a person is shown, as --json has all.
      await traffic.untilPaid(150);
      const latest = traffic.paid.at(-1)!.paymentId;
      await until(
        async () =>
          (await rows(primary.address, 'select from outbox where id = $1', [ulidToUuid(latest)])).length === 0,
        'the event of a payment that will be lost on the topic',
      );
    });
    const stored = await storedIn(paid.map(({ paymentId }) => paymentId));
    const lost = paid.filter(({ paymentId }) => !stored.has(paymentId));
    console.log(
      `asynchronous: of ${answered.length} payments answered before the crash ${lost.length} are lost; ` +
        `100 payments were answered ${outageMs} ms after it; failures: ${failureKinds(failed).join(', ')}`,
    );
    expect(lost.length).toBeGreaterThan(0);
    expect(answered).toEqual(expect.arrayContaining(lost.map(({ paymentId }) => paymentId)));

    const verified = await verify();
    expect(verified.booksBalance).toBe(true);
    expect(verified.missing).toEqual([]);
    expect(verified.code).toBe(1);
    const orphaned = await sentWithoutPayment();
    console.log(`asynchronous: ${orphaned.length} events of lost payments are on the topic`);
    expect(orphaned.length).toBeGreaterThan(0);
    expect(verified.orphaned).toEqual(orphaned);

    for (const { paymentId, ...asked } of lost) {
      const again = await api.client.authorize(asked);
      expect(again.status).toBe(PaymentStatus.PAYMENT_STATUS_AUTHORIZED);
      expect(again.paymentId).not.toBe(paymentId);
    }
    await booksBalance();
  }, 400_000);

  test('synchronous: nothing that was answered is lost, and no event is orphaned', async () => {
    await rows(primary.address, `alter system set synchronous_standby_names = 'standby'`);
    await rows(primary.address, 'select pg_reload_conf()');
    await until(async () => {
      const [row] = await rows(primary.address, 'select sync_state from pg_stat_replication');
      return row?.['sync_state'] === 'sync';
    }, 'a synchronous standby');
    const { paid, failed, answered, outageMs } = await failOver(async (traffic) => {
      // Nobody is answered while the standby stands still, though commits wait for it.
      await until(
        async () =>
          (await rows(primary.address, `select from pg_stat_activity where wait_event = 'SyncRep'`)).length > 0,
        'commits that wait for the standby',
      );
      const before = traffic.paid.length;
      await new Promise((resume) => setTimeout(resume, 1_000));
      expect(traffic.paid.length).toBe(before);
    });
    const stored = await storedIn(paid.map(({ paymentId }) => paymentId));
    console.log(
      `synchronous: of ${answered.length} payments answered before the crash ` +
        `${paid.length - stored.size} are lost; 100 payments were answered ${outageMs} ms after it; failures: ${failureKinds(failed).join(', ')}`,
    );
    expect(stored.size).toBe(paid.length);
    const verified = await verify();
    expect(verified.code, verified.output).toBe(0);
    for (const { error: _, ...asked } of failed) await api.client.authorize(asked);
    await booksBalance();
  }, 400_000);
});
