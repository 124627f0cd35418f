import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OutboxWriter } from '../support/relay.ts';
import { createSystem, type System } from '../support/system.ts';

describe('what a relay tells about itself', () => {
  let system: System;
  let address: string;

  beforeAll(async () => {
    system = await createSystem();
    const relay = await system.startRelay();
    address = `http://${relay.ready['metrics']}`;
  });
  afterAll(() => system?.close());

  async function metrics(): Promise<Record<string, number>> {
    const text = await (await fetch(`${address}/metrics`)).text();
    const samples = text.matchAll(/^(payment_ledger_\S+) (\S+)$/gm);
    return Object.fromEntries([...samples].map(([, name, value]) => [name, Number(value)]));
  }

  it('counts what it publishes and how long that took', async () => {
    const writer = new OutboxWriter(system.database);
    await writer.write(['acc-1', 'acc-2', 'acc-3']);
    await expect
      .poll(async () => (await metrics())['payment_ledger_relay_published_total'], { timeout: 10_000 })
      .toBe(3);
    expect(await metrics()).toMatchObject({
      payment_ledger_relay_commit_to_ack_seconds_count: 3,
      payment_ledger_relay_shards_owned: 16,
      payment_ledger_relay_lease_losses_total: 0,
      payment_ledger_relay_dead_letters_total: 0,
      payment_ledger_outbox_pending_events: 0,
      payment_ledger_outbox_oldest_pending_seconds: 0,
    });
  });

  it('shows what waits, what is held, and a transaction that stays open', async () => {
    await system.database.query(`
      insert into outbox_dead_letters
        (shard, position, id, aggregatetype, aggregateid, type, payload, headers, created_at, reason)
      values (0, 1, gen_random_uuid(), 'payment', 'acc-held', 'payment.authorized.v1', '{}', '{}', now(), 'refused')`);
    const open = await system.database.pool.connect();
    await open.query('begin');
    await open.query('select 1');
    await new Promise((resume) => setTimeout(resume, 300));
    const shown = await metrics();
    await open.query('rollback');
    open.release();
    expect(shown['payment_ledger_outbox_held_keys']).toBe(1);
    expect(shown['payment_ledger_postgres_oldest_transaction_seconds']).toBeGreaterThan(0.2);
  });

  it('is healthy and ready while Postgres and Kafka answer', async () => {
    expect((await fetch(`${address}/healthz`)).status).toBe(200);
    expect((await fetch(`${address}/readyz`)).status).toBe(200);
  });
});
