import { expect, test } from 'vitest';
import { RangePace } from '../../../../src/app/reconciliation/range-pace.ts';

test('ranges grow while they are fast, up to the most', () => {
  const pace = new RangePace(10_000);
  const rows = [pace.rows];
  for (let range = 0; range < 6; range++) {
    pace.took(20);
    rows.push(pace.rows);
  }
  expect(rows).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
});

test('a slow range makes the next one smaller by as much as it was too slow, and never too small', () => {
  const pace = new RangePace(10_000);
  pace.took(1_500);
  expect(pace.rows).toBe(100);
  pace.took(60_000);
  expect(pace.rows).toBe(100);
  pace.took(300);
  expect(pace.rows).toBe(100);
});

test('a small limit is never passed', () => {
  const pace = new RangePace(7);
  expect(pace.rows).toBe(7);
  pace.took(1);
  expect(pace.rows).toBe(7);
  pace.took(10_000);
  expect(pace.rows).toBe(7);
});
