import { describe, expect, test } from 'vitest';
import { batchDigest } from '../../../src/app/batch-digest.ts';
import type { ActionRequest } from '../../../src/app/domain/identity.ts';

const parties = { payerAccountId: 'a', payeeAccountId: 'b', amountCents: 10n, currency: 'RUB', description: '' };
const payment = { paymentId: '01ARZ3NDEKTSV4RRFFQ69G5FAV' };

const ITEMS: readonly ActionRequest[] = [
  { kind: 'PAYMENT', ...parties, reference: 'order', metadata: { b: '2', a: '1' } },
  { kind: 'HOLD', ...parties, ttlMs: 60_000 },
  { kind: 'CAPTURE', payment, requestedCents: 5n, keepRemainder: true },
  { kind: 'VOID', payment },
  { kind: 'REFUND', payment, requestedCents: undefined },
];

describe('the digest of a batch', () => {
  // Digests are stored for ever. If this fails, keys of the past are KEY_REUSED: let a new form have a new version.
  test('stays what it was', () => {
    expect(batchDigest(ITEMS)).toBe('015ed1b6ab37c39a6b8b0791dc9f7eec4aecc0fab3e841b98ae617e2a45091aae9');
  });

  test('does not depend on descriptions, on the order of metadata or on what is not given', () => {
    const [first, ...rest] = ITEMS;
    const same = { ...first!, description: 'x', metadata: { a: '1', b: '2' } } as ActionRequest;
    expect(batchDigest([same, ...rest])).toBe(batchDigest(ITEMS));
    expect(
      batchDigest([{ kind: 'CAPTURE', payment, requestedCents: undefined, keepRemainder: false, metadata: undefined }]),
    ).toBe(batchDigest([{ kind: 'CAPTURE', payment, requestedCents: undefined, keepRemainder: false }]));
  });

  test('tells one kind from another, one item from two, and where a text ends', () => {
    const digests = [
      [ITEMS[3]!],
      [ITEMS[4]!],
      [ITEMS[3]!, ITEMS[3]!],
      [{ kind: 'VOID', payment, reference: 'a' } as const],
      [{ kind: 'VOID', payment, metadata: { reference: 'a' } } as const],
      [{ kind: 'VOID', payment, metadata: { a: 'b', c: 'd' } } as const],
      [{ kind: 'VOID', payment, metadata: { a: 'b,c,d' } } as const],
    ].map(batchDigest);
    expect(new Set(digests).size).toBe(digests.length);
  });
});
