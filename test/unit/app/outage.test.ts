import { expect, test } from 'vitest';
import { Outage } from '../../../src/app/outage.ts';

function observed(quietMs: number) {
  const seen: unknown[] = [];
  const outage = new Outage({ began: (error) => seen.push(error), ended: (outageMs) => seen.push(outageMs) }, quietMs);
  return { seen, outage };
}

test('an outage is told once when it begins and once when it ends', () => {
  const { seen, outage } = observed(1_000);
  outage.succeeded(0);
  for (const nowMs of [100, 200, 300]) outage.failed(`failure ${nowMs}`, nowMs);
  for (const nowMs of [1_500, 1_600]) outage.succeeded(nowMs);
  outage.failed('another one', 2_000);
  expect(seen).toEqual(['failure 100', 1_400, 'another one']);
});

test('a success between failures is no end', () => {
  const { seen, outage } = observed(1_000);
  for (let nowMs = 0; nowMs < 10_000; nowMs += 500) {
    outage.failed('every other call', nowMs);
    outage.succeeded(nowMs + 250);
  }
  expect(seen).toEqual(['every other call']);
});
