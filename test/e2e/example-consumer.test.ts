import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { handleEvent, isKnown } from '../../examples/consumer/account-views.ts';
import type { AccountState } from '../../src/gen/payment/v1/events.ts';
import { consumeEvents, type ReceivedEvent } from '../../tools/events.ts';
import { createSystem, type System } from '../support/system.ts';

// As docs/events.md has them.
const EVERY_TYPE = new Set(
  readFileSync('docs/events.md', 'utf8')
    .split('\n')
    .filter((line) => /^\| `(payment|account)\.\w+\.v1`.* \| `\w+`/.test(line))
    .flatMap((line) => line.match(/(payment|account)\.\w+\.v1/g)!),
);

describe('the example consumer', () => {
  let system: System;
  let received: readonly ReceivedEvent[];

  beforeAll(async () => {
    system = await createSystem();
    await system.startRelay();
    const { client } = await system.startApi();
    const accounts = ['acc-a', 'acc-b', 'acc-c', 'acc-d'];
    for (const account of accounts) await client.openFunded(account, 1_000n);
    await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        client.authorize({
          payerAccountId: accounts[index % 4]!,
          payeeAccountId: accounts[(index + 1 + (index % 3)) % 4]!,
          amountCents: BigInt(1 + (index % 40) * 10),
        }),
      ),
    );
    // Holds, too, have entries, and so versions: one is captured in part, one voided, two are left.
    const held = await Promise.all(
      accounts.map((payerAccountId, index) =>
        client.hold({ payerAccountId, payeeAccountId: accounts[(index + 1) % 4]!, amountCents: 5n }),
      ),
    );
    await client.capture(held[0]!.payment!.paymentId, { amountCents: 2n });
    await client.void(held[1]!.payment!.paymentId);
    await client.refund(held[0]!.payment!.paymentId, { amountCents: 1n });
    await client.capture(held[1]!.payment!.paymentId);
    const brief = { payerAccountId: 'acc-d', payeeAccountId: 'acc-a', amountCents: 3n };
    await client.hold({ ...brief, ttl: { seconds: 1n, nanos: 0 } });
    await client.open('acc-e');
    await client.closeAccount('acc-e');
    await client.updateAccount('acc-a', { overdraftLimitCents: 7n, metadata: { tier: 'gold' } });
    await client.freeze('acc-a', { debits: true });
    await client.authorize({ payerAccountId: 'acc-a', payeeAccountId: 'acc-b', amountCents: 1n });
    await client.freeze('acc-b', { credits: true });
    await client.unfreeze('acc-b');
    const consumer = await consumeEvents(inject('kafkaBrokers'), system.topic);
    // Six accounts, 105 payments, five changes; and five holds, a capture, a void, a refund, a decline and an expiry.
    await consumer.until((events) => events.length === 126);
    await consumer.close();
    received = consumer.events;
    const types = new Set(received.map(({ type }) => type));
    expect(types).toEqual(EVERY_TYPE);
    for (const type of EVERY_TYPE) expect(isKnown(type)).toBe(true);
    // In the database of the system, whose truth it is then compared with.
    await system.database.query(await readFile('examples/consumer/schema.sql', 'utf8'));
  });
  afterAll(() => system?.close());

  async function handle(events: readonly ReceivedEvent[]): Promise<number> {
    const client = await system.database.pool.connect();
    let fresh = 0;
    for (const { eventId, type, value } of events) {
      if (await handleEvent(client, { id: eventId, type, value })) fresh++;
    }
    client.release();
    return fresh;
  }

  const missing = () => system.database.query('select account_id, version from missing_versions');

  test('has every balance right after repeats, and in whatever order the partitions came', async () => {
    // Not one with the first events of the accounts alone, before which nothing is missed.
    const { partition } = received.find(({ authorized }) => authorized?.payerAccountId === 'acc-a')!;
    const late = received.filter((event) => event.partition === partition);
    const early = received.filter((event) => event.partition !== partition);
    expect(await handle(early)).toBe(early.length);
    expect(await missing()).not.toEqual([]);
    expect(await handle(late)).toBe(late.length);
    expect(await handle(received)).toBe(0);

    const truth = `select account_id, currency, available_cents + pending_cents as balance_cents, pending_cents, version
      from account_balances where version > 0`;
    expect(await system.database.query('select * from account_views order by account_id')).toEqual(
      await system.database.query(`${truth} order by account_id`),
    );
    expect(await missing()).toEqual([]);

    const states = 'select account_id, state, debits_frozen, credits_frozen, overdraft_limit_cents, metadata, revision';
    expect(await system.database.query(`${states} from account_states where revision > 1 order by 1`)).toEqual([
      {
        account_id: 'acc-a',
        revision: 3n,
        state: 'STATE_FROZEN',
        debits_frozen: true,
        credits_frozen: false,
        overdraft_limit_cents: 7n,
        metadata: { tier: 'gold' },
      },
      {
        account_id: 'acc-b',
        revision: 3n,
        state: 'STATE_ACTIVE',
        debits_frozen: false,
        credits_frozen: false,
        overdraft_limit_cents: 0n,
        metadata: {},
      },
      {
        account_id: 'acc-e',
        revision: 2n,
        state: 'STATE_CLOSED',
        debits_frozen: false,
        credits_frozen: false,
        overdraft_limit_cents: 0n,
        metadata: {},
      },
    ]);
    expect(await system.database.query('select from account_states')).toHaveLength(6);
  });

  test('notices an event that never came', async () => {
    await system.database.query('truncate seen_events, account_views, account_states, missing_versions');
    // As they were paid, so that neither account is seen for the first time after the loss.
    const inTime = received.toSorted((one, other) => (one.eventId < other.eventId ? -1 : 1));
    const midway = (state?: AccountState) => state !== undefined && state.version > 10n && state.version < 20n;
    const lost = inTime.find(({ authorized }) => midway(authorized?.payer) && midway(authorized?.payee))!;
    await handle(inTime.filter((event) => event !== lost));
    const { payerAccountId, payeeAccountId, payer, payee } = lost.authorized!;
    expect(await missing()).toEqual(
      expect.arrayContaining([
        { account_id: payerAccountId, version: payer!.version },
        { account_id: payeeAccountId, version: payee!.version },
      ]),
    );
    expect(await missing()).toHaveLength(2);
  });

  test('takes states of accounts from types that it does not know, and nothing else', async () => {
    const client = await system.database.pool.connect();
    const take = (type: string, value: object) => handleEvent(client, { id: type, type, value: JSON.stringify(value) });
    const payer = { balanceCents: '7', version: '9' };
    expect(isKnown('payment.reversed.v1')).toBe(false);
    expect(await take('payment.reversed.v1', { payerAccountId: 'acc-x', currency: 'RUB', payer })).toBe(true);
    expect(await take('account.renamed.v1', { accountId: 'acc-x', revision: '5' })).toBe(true);
    expect(await take('statement.closed.v1', { payer })).toBe(true);
    client.release();
    const view = `select balance_cents, version from account_views where account_id = 'acc-x'`;
    expect(await system.database.query(view)).toEqual([{ balance_cents: 7n, version: 9n }]);
    expect(await system.database.query(`select from account_states where account_id = 'acc-x'`)).toEqual([]);
  });

  test.each(['payment.captured.v1', 'payment.held.v1'])('does not leave out a %s without a state', async (type) => {
    const client = await system.database.pool.connect();
    const event = { id: `broken ${type}`, type, value: '{"payerAccountId":"acc-x","currency":"RUB"}' };
    await expect(handleEvent(client, event)).rejects.toThrow('lacks the state of its payer');
    client.release();
  });
});
