import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { replay } from '../../src/app/replay.ts';
import { postgresHistory } from '../../src/infra/postgres/outbox/account-history.ts';
import { postgresReplayOutbox } from '../../src/infra/postgres/outbox/replay.ts';
import { consumeEvents, type EventConsumer } from '../../tools/events.ts';
import { createSystem, type System } from '../support/system.ts';

/** Four accounts, ten payments, four changes. */
const EVENTS = 18;

describe('replaying events from the ledger', () => {
  let system: System;
  let consumer: EventConsumer;
  const since = new Date();

  beforeAll(async () => {
    system = await createSystem();
    await system.startRelay({ CE_SOURCE: 'https://ledger.example/eu' });
    const { client } = await system.startApi();
    await client.openFunded('acc-a', 1_000n);
    await client.openFunded('acc-b', 1_000n);
    await client.openFunded('acc-c', 1_000n);
    for (let n = 0; n < 5; n++) {
      await client.authorize({
        payerAccountId: 'acc-a',
        payeeAccountId: 'acc-b',
        amountCents: 10n,
        description: `no. ${n}`,
      });
    }
    await client.authorize({ payerAccountId: 'acc-c', payeeAccountId: 'acc-b', amountCents: 1_000n });
    await client.authorize({ payerAccountId: 'acc-c', payeeAccountId: 'acc-b', amountCents: 1n });
    await client.updateAccount('acc-a', { overdraftLimitCents: 5n, metadata: { tier: 'gold' }, reason: 'promoted' });
    await client.freeze('acc-a', { debits: true });
    await client.unfreeze('acc-a');
    await client.closeAccount('acc-c');
    consumer = await consumeEvents(inject('kafkaBrokers'), system.topic);
    await consumer.until((events) => events.length === EVENTS);
  });
  afterAll(async () => {
    await consumer?.close();
    await system?.close();
  });

  const run = (range: Parameters<typeof replay>[2]) =>
    replay(
      postgresHistory(system.database.application),
      postgresReplayOutbox(system.database.application),
      range,
      () => undefined,
    );

  test('repeats a time range, each event as it was but for its mark', async () => {
    const originals = consumer.events.slice(0, EVENTS);
    expect(await run({ kind: 'TIME', from: since, to: new Date(Date.now() + 1_000) })).toBe(EVENTS);
    await consumer.until((events) => events.length === 2 * EVENTS);
    for (const original of originals) {
      const repeat = consumer.events.slice(EVENTS).find(({ eventId }) => eventId === original.eventId);
      const { traceparent: _, ...headers } = original.headers;
      expect(headers).toMatchObject({
        ce_source: 'https://ledger.example/eu',
        ce_subject: original.accountChanged?.accountId ?? original.eventId,
      });
      const marks = { ce_replayed: 'true', replayed: 'true' };
      expect(repeat).toEqual({ ...original, offset: repeat!.offset, headers: { ...headers, ...marks } });
    }
    expect(await run({ kind: 'TIME', from: new Date(0), to: since })).toBe(0);
  });

  test('repeats what changed an account and what moved its money, in the order it did', async () => {
    const before = consumer.events.length;
    expect(await run({ kind: 'ACCOUNT', accountId: 'acc-a' })).toBe(10);
    await consumer.until((events) => events.length === before + 10);
    const own = consumer.events.slice(before).filter(({ key }) => key === 'acc-a');
    expect(own.slice(0, 4).map(({ type, accountChanged }) => [type, accountChanged?.revision])).toEqual([
      ['account.opened.v1', 1n],
      ['account.updated.v1', 2n],
      ['account.frozen.v1', 3n],
      ['account.unfrozen.v1', 4n],
    ]);
    expect(own[1]?.accountChanged).toMatchObject({
      overdraftLimitCents: 5n,
      metadata: { tier: 'gold' },
      reason: 'promoted',
    });
    const paid = own.filter(({ authorized }) => authorized !== undefined);
    expect(paid.map(({ authorized }) => authorized?.payer?.version)).toEqual([2n, 3n, 4n, 5n, 6n]);
  });
});
