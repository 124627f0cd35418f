import { decodeTime, ulid } from 'ulid';
import { describe, expect, test } from 'vitest';
import { isPaymentId, lowestPaymentId, timeOfPaymentId } from '../../../src/app/domain/payment-id.ts';

const TIMES_MS = [1, 31, 32, 1_795_000_000_123, 2 ** 48 - 1];

describe('a payment id', () => {
  test.each(TIMES_MS)('tells its time, as the ulid package reads it: %d', (timeMs) => {
    expect(timeOfPaymentId(ulid(timeMs))).toBe(timeMs);
    expect(decodeTime(lowestPaymentId(timeMs))).toBe(timeMs);
  });

  test('is not below the lowest of its time, nor above that of the next millisecond', () => {
    for (const timeMs of TIMES_MS.slice(0, -1)) {
      const id = ulid(timeMs);
      expect(lowestPaymentId(timeMs) <= id && id < lowestPaymentId(timeMs + 1)).toBe(true);
    }
  });

  test('is told from other text', () => {
    expect(isPaymentId(ulid())).toBe(true);
    for (const text of ['', ulid().toLowerCase(), `8${ulid().slice(1)}`, `${ulid()}0`, ulid().replace(/.$/, 'U')]) {
      expect(isPaymentId(text)).toBe(false);
    }
  });
});
