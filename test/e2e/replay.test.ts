import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { replay } from '../../src/app/replay.ts';
import { postgresPaymentHistory, postgresReplayOutbox } from '../../src/infra/postgres/outbox/replay.ts';
import { consumeEvents, type EventConsumer } from '../../tools/events.ts';
import { createSystem, type System } from '../support/system.ts';

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
    consumer = await consumeEvents(inject('kafkaBrokers'), system.topic);
    await consumer.until((events) => events.length === 10);
  });
  afterAll(async () => {
    await consumer?.close();
    await system?.close();
  });

  const run = (range: Parameters<typeof replay>[2]) =>
    replay(
      postgresPaymentHistory(system.database.application),
      postgresReplayOutbox(system.database.application),
      range,
      () => undefined,
    );

  test('repeats a time range, each event as it was but for its mark', async () => {
    const originals = consumer.events.slice(0, 10);
    expect(await run({ kind: 'TIME', from: since, to: new Date(Date.now() + 1_000) })).toBe(10);
    await consumer.until((events) => events.length === 20);
    for (const original of originals) {
      const repeat = consumer.events.slice(10).find(({ eventId }) => eventId === original.eventId);
      const { traceparent: _, ...headers } = original.headers;
      expect(headers).toMatchObject({ ce_source: 'https://ledger.example/eu', ce_subject: original.eventId });
      const marks = { ce_replayed: 'true', replayed: 'true' };
      expect(repeat).toEqual({ ...original, offset: repeat!.offset, headers: { ...headers, ...marks } });
    }
    expect(await run({ kind: 'TIME', from: new Date(0), to: since })).toBe(0);
  });

  test('repeats what moved an account, in the order it did', async () => {
    const before = consumer.events.length;
    expect(await run({ kind: 'ACCOUNT', accountId: 'acc-a' })).toBe(6);
    await consumer.until((events) => events.length === before + 6);
    const paid = consumer.events.slice(before).filter(({ key }) => key === 'acc-a');
    expect(paid.map(({ authorized }) => authorized?.payer?.version)).toEqual([2n, 3n, 4n, 5n, 6n]);
  });
});
