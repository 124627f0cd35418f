import { describe, expect, test } from 'vitest';
import {
  CLOCK_SLACK_MS,
  isProvable,
  type PartitionReading,
  retainedSince,
  retainedWhileRead,
} from '../../../../src/app/reconciliation/retention.ts';
import { lowestUlid } from '../../../../src/app/ulid.ts';

const READING: PartitionReading = {
  retainedSinceMs: 1_000,
  readFrom: 10n,
  begin: 10n,
  firstSentAtMs: 5_000,
  notFoundAtMs: undefined,
};

describe('what a partition retains', () => {
  test.each<[string, Partial<PartitionReading>, number | undefined]>([
    ['what was known, if nothing was lost', {}, 1_000],
    ['what begins with the first record, if something was lost', { begin: 11n }, 5_000 + CLOCK_SLACK_MS],
    ['what begins with the first record, if nothing was known', { retainedSinceMs: undefined }, 5_000 + CLOCK_SLACK_MS],
    [
      'nothing before the payments were read, if nothing was there',
      { begin: 11n, firstSentAtMs: undefined, notFoundAtMs: 7_000 },
      7_000 + CLOCK_SLACK_MS,
    ],
    ['unknown, if nothing was there nor missed', { begin: 11n, firstSentAtMs: undefined }, undefined],
  ])('is %s', (_, change, expected) => {
    expect(retainedWhileRead({ ...READING, ...change })).toBe(expected);
  });

  test('is everything from a time on only if a record from before it is left', () => {
    expect(retainedSince({ begin: 3n, end: 9n, offset: 4n }, 1_000)).toBe(1_000);
    expect(retainedSince({ begin: 3n, end: 9n, offset: 3n }, 1_000)).toBeUndefined();
  });

  test('proves a missing event only of payments since then', () => {
    expect(isProvable(lowestUlid(1_000), 'alice', [1_000])).toBe(true);
    expect(isProvable(lowestUlid(999), 'alice', [1_000])).toBe(false);
    expect(isProvable(lowestUlid(1_000), 'alice', [undefined])).toBe(false);
  });
});
