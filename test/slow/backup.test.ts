import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { migrate } from '../../src/cli/migrate.ts';
import { PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import { consumeEvents } from '../../tools/events.ts';
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
import { type ApiProcess, type System, systemOn } from '../support/system.ts';
import { authorizedId, type Paid, until } from '../support/traffic.ts';
import { verifyEvents } from '../support/verify.ts';

const postgres = await findPostgres();
if (typeof postgres === 'string') console.warn(`SKIPPED: backup and restore were not tried: ${postgres}`);

const ACCOUNTS = ['a', 'b', 'c', 'd'];

// A base backup, archived WAL, and a restore to a moment between two payments, with the
// commands of docs/operations.md.
describe.skipIf(typeof postgres === 'string')('a ledger restored to an earlier time', () => {
  let servers: PostgresServers;
  let archive: string;
  let primary: PostgresServer;
  let restored: PostgresServer;
  let system: System;
  let api: ApiProcess;
  /** Stored before the moment; of them, sent only after it. */
  const kept: Paid[] = [];
  const sentLate: Paid[] = [];
  /** Stored and sent after the moment. */
  const lost: Paid[] = [];
  let outboxAtTheMoment: number;

  const count = async (url: string, table: string) =>
    Number((await rows(url, `select count(*) as n from ${table}`))[0]!['n']);
  const outboxIsEmpty = (url: string) => until(async () => (await count(url, 'outbox')) === 0, 'an empty outbox');
  const verify = (url: string) =>
    verifyEvents({ DATABASE_URL: url, KAFKA_BROKERS: inject('kafkaBrokers'), KAFKA_TOPIC: system.topic });

  async function pay(number: number): Promise<Paid[]> {
    const paid: Paid[] = [];
    for (let i = 0; i < number; i += 1) {
      const asked = {
        idempotencyKey: crypto.randomUUID(),
        payerAccountId: ACCOUNTS[i % 4]!,
        payeeAccountId: ACCOUNTS[(i + 1) % 4]!,
        amountCents: 1n,
      };
      paid.push({ ...asked, paymentId: authorizedId(await api.client.authorize(asked)) });
    }
    return paid;
  }

  beforeAll(async () => {
    if (typeof postgres === 'string') throw new Error(postgres);
    servers = await postgresServers(postgres.programs);
    archive = await servers.makeFolder('archive');
    primary = await servers.create('primary', {
      archive_mode: 'on',
      archive_command: `test ! -f ${archive}/%f && cp %p ${archive}/%f`,
    });
    await migrate(primary.address);
    await createApplicationLogin(primary.address);
    system = systemOn({
      databaseUrl: applicationAddress(primary.address),
      redisUrl: inject('redisUrl'),
      kafkaBrokers: inject('kafkaBrokers'),
    });
    api = await system.startApi();
    const relay = await system.startRelay();
    for (const account of ACCOUNTS) await api.client.openFunded(account, 1_000n);

    kept.push(...(await pay(10)));
    await servers.run(
      'pg_basebackup',
      ...['-h', '127.0.0.1', '-p', String(primary.port), '-D', join(servers.folder, 'base')],
      ...['--wal-method=stream', '--checkpoint=fast'],
    );
    await servers.run('pg_verifybackup', join(servers.folder, 'base'));
    kept.push(...(await pay(10)));
    await outboxIsEmpty(primary.address);
    await relay.stop();
    sentLate.push(...(await pay(10)));
    kept.push(...sentLate);
    outboxAtTheMoment = await count(primary.address, 'outbox');
    const [moment] = await rows(primary.address, 'select clock_timestamp()::text as now');
    const later = await system.startRelay();
    lost.push(...(await pay(20)));
    await outboxIsEmpty(primary.address);
    await later.stop();
    await api.stop();

    // What is not in the archive would be lost with the server.
    const [segment] = await rows(primary.address, 'select pg_walfile_name(pg_switch_wal()) as name');
    await until(async () => {
      const [{ last }] = (await rows(primary.address, 'select last_archived_wal as last from pg_stat_archiver')) as [
        { last: string | null },
      ];
      return (last ?? '') >= String(segment!['name']);
    }, 'the last segment in the archive');
    await primary.stop();

    await servers.run('/bin/cp', '-a', join(servers.folder, 'base'), join(servers.folder, 'restored'));
    await servers.run('/bin/touch', join(servers.folder, 'restored/recovery.signal'));
    restored = await servers.startOn('restored', {
      restore_command: `cp ${archive}/%f %p`,
      recovery_target_time: String(moment!['now']),
      recovery_target_action: 'promote',
    });
    await until(
      async () => (await rows(restored.address, 'select pg_is_in_recovery() as yes'))[0]!['yes'] === false,
      'the end of the recovery',
    );
  }, 400_000);
  afterAll(async () => {
    await system?.close();
    await servers?.remove();
  });

  test('has every payment before the moment and none after it, and the books balance', async () => {
    const stored = (await rows(restored.address, 'select payment_id::text as id from payments')).length;
    expect(stored).toBe(kept.length + ACCOUNTS.length);
    const database = openDatabase(restored.address);
    expect(await auditBooks(database)).toEqual([]);
    await database.close();
  });

  test('has the events that were pending then pending again', async () => {
    expect(outboxAtTheMoment).toBe(sentLate.length);
    expect(await count(restored.address, 'outbox')).toBe(sentLate.length);
  });

  test('names each event that was sent of a payment which is lost, and no other', async () => {
    const verified = await verify(restored.address);
    expect(verified.code, verified.output).toBe(1);
    expect(verified.orphaned).toEqual(lost.map(({ paymentId }) => paymentId).sort());
    expect(verified.missing).toEqual([]);
    expect(verified.booksBalance).toBe(true);
  });

  test('pays a key of a lost payment again, under another id, and answers DUPLICATE to a key it has', async () => {
    const address = { DATABASE_URL: applicationAddress(restored.address) };
    api = await system.startApi(address);
    await system.startRelay(address);
    for (const { paymentId, ...asked } of lost) {
      const again = await api.client.authorize(asked);
      expect(again.status).toBe(PaymentStatus.PAYMENT_STATUS_AUTHORIZED);
      expect(again.paymentId).not.toBe(paymentId);
    }
    for (const { paymentId, ...asked } of kept) {
      const again = await api.client.authorize(asked);
      expect([again.status, again.paymentId]).toEqual([PaymentStatus.PAYMENT_STATUS_DUPLICATE, paymentId]);
    }
  });

  test('sends what was pending once more under the same id, and loses nothing of what it pays now', async () => {
    await outboxIsEmpty(restored.address);
    const consumer = await consumeEvents(inject('kafkaBrokers'), system.topic);
    const times = (id: string) => consumer.events.filter(({ eventId }) => eventId === id).length;
    await consumer.until(() => sentLate.every(({ paymentId }) => times(paymentId) >= 2));
    expect(kept.slice(0, 20).map(({ paymentId }) => times(paymentId))).toEqual(Array(20).fill(1));
    await consumer.close();
    const verified = await verify(restored.address);
    expect(verified.missing).toEqual([]);
    expect(verified.orphaned).toEqual(lost.map(({ paymentId }) => paymentId).sort());
  });
});
