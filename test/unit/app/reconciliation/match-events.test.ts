import { describe, expect, test } from 'vitest';
import { shardOf } from '../../../../src/app/domain/shard.ts';
import { SoughtEvents } from '../../../../src/app/reconciliation/match-events.ts';
import type { AuditedEvent, SentEvent } from '../../../../src/app/reconciliation/ports.ts';

const PARTITIONS = 16;
const ID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';

function payment(state: AuditedEvent['state'] = 'SENT'): AuditedEvent {
  return {
    eventId: ID,
    key: 'alice',
    type: 'payment.authorized.v1',
    fields: {
      paymentId: ID,
      payerAccountId: 'alice',
      payeeAccountId: 'bob',
      amountCents: '9007199254740993',
      currency: 'EUR',
    },
    state,
    missing: false,
  };
}

const PAYLOAD = {
  paymentId: ID,
  payerAccountId: 'alice',
  payeeAccountId: 'bob',
  amountCents: '9007199254740993',
  currency: 'EUR',
  authorizedAt: '2026-11-24T02:45:01.123Z',
};

function record(change: Partial<SentEvent> = {}): SentEvent {
  return {
    partition: shardOf('alice', PARTITIONS),
    offset: 7n,
    sentAtMs: 0,
    eventId: ID,
    key: 'alice',
    type: 'payment.authorized.v1',
    value: JSON.stringify(PAYLOAD),
    ...change,
  };
}

describe('matching events with payments', () => {
  test('finds an event, and leaves what is not there', () => {
    const sought = new SoughtEvents([payment(), { ...payment(), eventId: ID.replace('V', 'W') }], PARTITIONS);
    sought.strikeOut([record(), record()]);
    expect([...sought.left.keys()]).toEqual([ID.replace('V', 'W')]);
    expect(sought.mismatched).toEqual([]);
  });

  test.each([
    ['key', { key: 'bob' }, 'has key "bob", its payment has "alice"'],
    ['type', { type: 'payment.declined.v1' }, 'has type "payment.declined.v1"'],
    ['partition', { partition: (shardOf('alice', PARTITIONS) + 1) % PARTITIONS }, 'belongs in partition'],
  ])('does not take a record with another %s for it', (_, change, sentence) => {
    const sought = new SoughtEvents([payment()], PARTITIONS);
    sought.strikeOut([record(change)]);
    expect(sought.left.size).toBe(1);
    expect(sought.mismatched).toEqual([expect.stringContaining(sentence)]);
    sought.strikeOut([record()]);
    expect(sought.left.size).toBe(0);
  });

  const { authorizedAt, ...undecided } = PAYLOAD;
  test.each<[string, unknown, string]>([
    ['payment', { ...PAYLOAD, paymentId: ID.replace('V', 'W') }, 'has paymentId'],
    ['payer', { ...PAYLOAD, payerAccountId: 'carol' }, 'has payerAccountId "carol", its payment has "alice"'],
    ['payee', { ...PAYLOAD, payeeAccountId: 'carol' }, 'has payeeAccountId'],
    ['amount', { ...PAYLOAD, amountCents: '9007199254740992' }, 'has amountCents "9007199254740992"'],
    ['form of amount', { ...PAYLOAD, amountCents: 9_007_199_254_740_992 }, 'has amountCents'],
    ['currency', { ...PAYLOAD, currency: 'USD' }, 'has currency'],
    ['status', { ...undecided, declinedAt: authorizedAt }, 'says another status than payment.authorized.v1'],
    ['status, both at once,', { ...PAYLOAD, declinedAt: authorizedAt }, 'says another status'],
    ['kind of value', null, 'no JSON object'],
  ])('does not take a payload with another %s for it', (_, payload, sentence) => {
    const sought = new SoughtEvents([payment()], PARTITIONS);
    sought.strikeOut([record({ value: JSON.stringify(payload) }), record({ value: '' })]);
    expect(sought.left.size).toBe(1);
    expect(sought.mismatched[0]).toContain(sentence);
    expect(sought.mismatched[1]).toContain('no JSON object');
  });

  test('tells pending, discarded and too old events apart', () => {
    const pending = new SoughtEvents([payment('PENDING')], PARTITIONS);
    expect([pending.left.size, pending.pending.size]).toEqual([0, 1]);
    const discarded = new SoughtEvents([payment('DISCARDED')], PARTITIONS);
    expect([discarded.left.size, discarded.pending.size, discarded.tooOld.size]).toEqual([0, 0, 0]);
    const old = new SoughtEvents([payment()], PARTITIONS, () => false);
    expect([old.left.size, old.tooOld.size]).toEqual([0, 1]);
    old.strikeOut([record()]);
    expect(old.tooOld.size).toBe(0);
  });
});
