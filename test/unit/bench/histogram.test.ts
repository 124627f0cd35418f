import { expect, test } from 'vitest';
import { Histogram } from '../../../bench/load/histogram.ts';

test('quantiles are within a percent of the truth, also after a journey as JSON', () => {
  const histogram = new Histogram();
  for (let ms = 1; ms <= 1_000; ms++) histogram.record(ms);
  const arrived = new Histogram(JSON.parse(JSON.stringify(histogram)));
  for (const each of [histogram, arrived]) {
    expect(each.total).toBe(1_000);
    expect(each.quantileMs(0.5) / 500).toBeCloseTo(1, 1.9);
    expect(each.quantileMs(0.99) / 990).toBeCloseTo(1, 1.9);
    expect(each.quantileMs(1) / 1_000).toBeCloseTo(1, 1.9);
  }
});

test('histograms add up', () => {
  const [one, other] = [new Histogram(), new Histogram()];
  one.record(1);
  other.record(100);
  other.record(100);
  one.add(other);
  expect(one.total).toBe(3);
  expect(one.quantileMs(0.5)).toBeGreaterThan(99);
});

test('what is too short or too long for a bucket is kept at its ends', () => {
  const histogram = new Histogram();
  histogram.record(0);
  histogram.record(1e9);
  expect(histogram.total).toBe(2);
  expect(histogram.quantileMs(0)).toBeLessThan(0.01);
  expect(histogram.quantileMs(1)).toBeGreaterThan(100_000);
  expect(new Histogram().quantileMs(0.5)).toBeNaN();
});
