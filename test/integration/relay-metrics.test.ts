import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OutboxWriter } from '../support/relay.ts';
import { createSystem, type System } from '../support/system.ts';

describe('what a relay tells about itself', () => {
  let system: System;
  let address: string;

  beforeAll(async () => {
    system = await createSystem();
    // No audits but those that a test records.
    const relay = await system.startRelay({ AUDIT_EVENTS_EVERY_MS: '0' });
    address = `http://${relay.ready['metrics']}`;
  });
  afterAll(() => system?.close());

  async function metrics(): Promise<Record<string, number>> {
    const text = await (await fetch(`${address}/metrics`)).text();
    const samples = text.matchAll(/^(payment_ledger_\S+) (\S+)$/gm);
    return Object.fromEntries([...samples].map(([, name, value]) => [name, Number(value)]));
  }

  test('counts what it publishes and how long that took', async () => {
    const writer = new OutboxWriter(system.database);
    await writer.write(['acc-1', 'acc-2', 'acc-3']);
    await expect.poll(async () => (await metrics())['payment_ledger_relay_published_total']).toBe(3);
    expect(await metrics()).toMatchObject({
      payment_ledger_relay_commit_to_ack_seconds_count: 3,
      payment_ledger_relay_shards_owned: 16,
      payment_ledger_relay_lease_losses_total: 0,
      payment_ledger_relay_dead_letters_total: 0,
      payment_ledger_outbox_pending_events: 0,
      payment_ledger_outbox_oldest_pending_seconds: 0,
    });
  });

  test('shows what is pending, what is blocked, and a transaction that stays open', async () => {
    await system.database.query(`
      insert into outbox_dead_letters
        (shard, position, id, aggregatetype, aggregateid, type, payload, headers, created_at, reason)
      values (0, 1, gen_random_uuid(), 'payment', 'acc-blocked', 'payment.authorized.v1', '{}', '{}', now() - interval '1 hour', 'rejected')`);
    const open = await system.database.pool.connect();
    await open.query('begin');
    await open.query('select 1');
    await new Promise((resume) => setTimeout(resume, 300));
    const shown = await metrics();
    await open.query('rollback');
    open.release();
    expect(shown['payment_ledger_outbox_blocked_keys']).toBe(1);
    expect(shown['payment_ledger_outbox_oldest_blocked_seconds']).toBeGreaterThan(3_599);
    expect(shown['payment_ledger_outbox_oldest_blocked_seconds']).toBeLessThan(3_700);
    expect(shown['payment_ledger_postgres_oldest_transaction_seconds']).toBeGreaterThan(0.2);
  });

  test('shows what audits of events have found, by any worker', async () => {
    expect(await metrics()).not.toHaveProperty('payment_ledger_events_missing');
    await system.database.query(`
      insert into event_audits
        (previous_id, audited_at, topic, audited_to, offsets, retained_since, payments_audited, payments_unverifiable, orphaned)
      values (null, now() - interval '2 days', 'a', '0199b2a3-d3ff-0000-0000-000000000000', '{}', '{}', 9, 8, '{z}'),
             (1, now(), 'a', '0199b2a3-d400-0000-0000-000000000000', '{}', '{}', 9, 4, '{x,y}')`);
    await system.database.query(
      'insert into unconfirmed_events values (gen_random_uuid(), true), (gen_random_uuid(), false)',
    );
    expect(await metrics()).toMatchObject({
      payment_ledger_events_missing: 1,
      payment_ledger_events_orphaned: 2,
      payment_ledger_events_unverifiable: 4,
      payment_ledger_events_audited_to_timestamp_seconds: 0x0199b2a3d400 / 1_000,
    });
  });

  test('is healthy and ready while Postgres and Kafka answer', async () => {
    expect((await fetch(`${address}/healthz`)).status).toBe(200);
    expect((await fetch(`${address}/readyz`)).status).toBe(200);
  });
});
