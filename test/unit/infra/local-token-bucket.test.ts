import { describe, expect, test } from 'vitest';
import { LocalTokenBuckets } from '../../../src/infra/redis/local-token-bucket.ts';

const SECOND_US = 1_000_000;

describe('LocalTokenBuckets', () => {
  test('gives a burst of its capacity, then tells how long the next token takes', () => {
    const buckets = new LocalTokenBuckets({ capacity: 3, refillPerSecond: 4 });
    expect([1, 2, 3].map(() => buckets.take('p', 0))).toEqual([0, 0, 0]);
    expect(buckets.take('p', 0)).toBe(250);
    expect(buckets.take('p', 249_000)).toBe(1);
    expect(buckets.take('p', 250_000)).toBe(0);
    expect(buckets.take('p', 250_000)).toBe(250);
  });

  test('rounds the wait up, so that a caller who waits it out gets a token', () => {
    const buckets = new LocalTokenBuckets({ capacity: 1, refillPerSecond: 3 });
    buckets.take('p', 0);
    expect(buckets.take('p', 0)).toBe(334);
    expect(buckets.take('p', 334_000)).toBe(0);
  });

  test('never has more than its capacity', () => {
    const buckets = new LocalTokenBuckets({ capacity: 2, refillPerSecond: 1_000_000 });
    buckets.take('p', 0);
    const inTenYears = 10 * 365 * 86_400 * SECOND_US;
    expect([1, 2].map(() => buckets.take('p', inTenYears))).toEqual([0, 0]);
    expect(buckets.take('p', inTenYears)).toBe(1);
  });

  test('loses nothing to rounding, however often it is asked', () => {
    const buckets = new LocalTokenBuckets({ capacity: 1, refillPerSecond: 7 });
    let granted = 0;
    for (let nowUs = 0; nowUs <= 100 * SECOND_US; nowUs += 1_000) {
      if (buckets.take('p', nowUs) === 0) granted += 1;
    }
    // A token takes 142.86 ms; asked every millisecond, one is taken every 143.
    expect(granted).toBe(1 + Math.floor(100_000 / 143));
  });

  test('keeps a bucket for each payer', () => {
    const buckets = new LocalTokenBuckets({ capacity: 1, refillPerSecond: 1 });
    expect(buckets.take('p', 0)).toBe(0);
    expect(buckets.take('q', 0)).toBe(0);
    expect(buckets.take('p', 0)).toBe(1_000);
  });

  test('takes of several payers all that is wanted, or nothing of any', () => {
    const buckets = new LocalTokenBuckets({ capacity: 3, refillPerSecond: 4 });
    expect(buckets.takeTogether(['p', 'q'], [3, 1], 0)).toEqual([0, 0]);
    // p lacks two, q has what it takes and keeps it.
    expect(buckets.takeTogether(['p', 'q'], [2, 2], 0)).toEqual([500, 0]);
    expect([1, 2].map(() => buckets.take('q', 0))).toEqual([0, 0]);
    expect(buckets.take('q', 0)).toBe(250);
    expect(buckets.takeTogether(['p'], [2], 500_000)).toEqual([0]);
  });

  test('takes back what was taken for nothing, up to its capacity', () => {
    const buckets = new LocalTokenBuckets({ capacity: 3, refillPerSecond: 1 });
    buckets.takeTogether(['p'], [2], 0);
    buckets.takeTogether(['p', 'q'], [-2, -2], 0);
    expect(buckets.takeTogether(['p', 'q'], [3, 3], 0)).toEqual([0, 0]);
    expect(buckets.take('p', 0)).toBe(1_000);
  });

  test('forgets the payer that was idle longest when it has too many', () => {
    const buckets = new LocalTokenBuckets({ capacity: 2, refillPerSecond: 1 }, 2);
    buckets.take('p', 0);
    buckets.take('q', 0);
    buckets.take('p', 0);
    buckets.take('r', 0);
    expect(buckets.take('p', 0)).toBe(1_000);
    expect([1, 2].map(() => buckets.take('q', 0))).toEqual([0, 0]);
  });
});
