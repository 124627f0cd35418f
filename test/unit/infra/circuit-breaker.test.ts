import { expect, test } from 'vitest';
import { CircuitBreaker } from '../../../src/infra/redis/circuit-breaker.ts';

test('lets one call try again after the pause, and all once it succeeds', () => {
  const breaker = new CircuitBreaker(1_000);
  expect(breaker.allows(0)).toBe(true);
  breaker.failed(0);
  expect(breaker.allows(999)).toBe(false);
  expect([breaker.allows(1_000), breaker.allows(1_000)]).toEqual([true, false]);
  breaker.succeeded();
  expect([breaker.allows(1_001), breaker.allows(1_001)]).toEqual([true, true]);
});

test('pauses again if the trial fails', () => {
  const breaker = new CircuitBreaker(1_000);
  breaker.failed(0);
  expect(breaker.allows(1_000)).toBe(true);
  breaker.failed(1_050);
  expect(breaker.allows(2_049)).toBe(false);
  expect(breaker.allows(2_050)).toBe(true);
});

test('does not wait for ever for a trial that never reports', () => {
  const breaker = new CircuitBreaker(1_000);
  breaker.failed(0);
  expect(breaker.allows(1_000)).toBe(true);
  expect(breaker.allows(2_000)).toBe(true);
});
