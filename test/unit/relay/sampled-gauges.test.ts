import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Logger } from '../../../src/relay/ports.ts';
import { SampledGauges } from '../../../src/relay/sampled-gauges.ts';

let registry: Registry;
let logged: string[];
let take: () => Promise<number | undefined>;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  registry = new Registry();
  logged = [];
  const line = (_: object, message: string) => logged.push(message);
  const log: Logger = { debug: line, info: line, warn: line, error: line };
  new SampledGauges(registry, log).add('things', () => take(), {
    things: ['Things.', (sample) => sample],
    more_things: ['More.', (sample) => sample && sample + 1],
  });
});
afterEach(() => void vi.useRealTimers());

async function shown(): Promise<Record<string, number>> {
  const text = await registry.metrics();
  return Object.fromEntries([...text.matchAll(/^(\w+)\S* (\S+)$/gm)].map(([, name, value]) => [name, Number(value)]));
}

test('gauges of a sample stay while it cannot be taken, and their age says so', async () => {
  let taken = 0;
  take = async () => {
    taken += 1;
    return 7;
  };
  expect(await shown()).toEqual({ things: 7, more_things: 8, payment_ledger_sample_age_seconds: 0 });
  expect(taken).toBe(1);

  take = () => Promise.reject(new Error('unreachable'));
  vi.advanceTimersByTime(30_000);
  expect(await shown()).toEqual({ things: 7, more_things: 8, payment_ledger_sample_age_seconds: 30 });
  await shown();
  take = async () => 9;
  expect(await shown()).toEqual({ things: 9, more_things: 10, payment_ledger_sample_age_seconds: 0 });
  expect(logged).toEqual(['metrics: the database cannot be sampled', 'metrics: the database can be sampled again']);
});

test('a sample that hangs holds a scrape up for two seconds at most, and is not taken again beside it', async () => {
  take = async () => 7;
  await shown();
  let asked = 0;
  take = () => {
    asked += 1;
    return new Promise(() => undefined);
  };
  const startedAt = Date.now();
  const [first, second] = await Promise.all([shown(), shown()]);
  expect(Date.now() - startedAt).toBeLessThan(10_000);
  expect([first['things'], second['things'], asked]).toEqual([7, 7, 1]);
});

test('before the first sample there is no value, and the age is that of the process', async () => {
  take = () => Promise.reject(new Error('unreachable'));
  vi.advanceTimersByTime(5_000);
  expect(await shown()).toEqual({ payment_ledger_sample_age_seconds: 5 });
});

test('what a sample does not have is left out', async () => {
  take = async () => undefined;
  expect(await shown()).toEqual({ payment_ledger_sample_age_seconds: 0 });
});
