import { expect, test } from 'vitest';
import { ratioOf, spreadOf } from '../../../bench/statistics.ts';

test('the median is the middle one, or the mean of the two', () => {
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  expect(spreadOf([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
  expect(() => spreadOf([])).toThrow('Nothing was measured');
});

test('a ratio is formed for each round by itself', () => {
  // A machine that was ten times slower in the second round changes nothing.
  expect(ratioOf([200, 20, 200], [100, 10, 100])).toEqual({ median: 2, min: 2, max: 2 });
});
