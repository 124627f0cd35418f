import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { jwtVerify } from 'jose';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RemoteKeys } from '../../../../src/api/access/identity/keys.ts';
import { type SigningKey, signingKey } from '../../../support/tokens.ts';

// A real endpoint; only the five minutes between two looks at it pass at once.

const FIVE_MINUTES_MS = 300_000;

let endpoint: Server;
let published: readonly SigningKey[] | undefined;
let requests: number;
let keys: RemoteKeys;
let changes: number;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  requests = 0;
  changes = 0;
  endpoint = createServer((_, response) => {
    requests += 1;
    response.writeHead(published === undefined ? 503 : 200);
    response.end(JSON.stringify({ keys: published?.map(({ jwk }) => jwk) }));
  });
  await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}`;
  keys = new RemoteKeys(url, pino({ level: 'silent' }));
  keys.onChange(() => {
    changes += 1;
  });
});

afterEach(() => {
  vi.useRealTimers();
  endpoint.close();
});

/** Lets five minutes pass, and the look at the endpoint that follows. */
async function later(): Promise<void> {
  const before = requests;
  vi.advanceTimersByTime(FIVE_MINUTES_MS);
  await vi.waitUntil(() => requests > before, { interval: 5 });
  // The answer is read in a few turns of the event loop.
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resume) => setImmediate(resume));
}

function isKnown(token: string): Promise<boolean> {
  return jwtVerify(token, keys.find).then(
    () => true,
    () => false,
  );
}

test('a key that was withdrawn is given up though nobody names another', async () => {
  const [one, two] = [await signingKey('one'), await signingKey('two')];
  published = [one, two];
  await keys.start();
  expect([await isKnown(await one.token()), changes]).toEqual([true, 1]);

  await later();
  expect(changes).toBe(1);

  published = [two];
  await later();
  await vi.waitUntil(() => changes === 2, { timeout: 10_000 });
  expect([await isKnown(await one.token()), await isKnown(await two.token())]).toEqual([false, true]);
});

test('while the endpoint fails, the keys fetched last stay in force', async () => {
  const one = await signingKey('one');
  published = [one];
  await keys.start();
  published = undefined;
  await later();
  expect([await isKnown(await one.token()), changes]).toEqual([true, 1]);
});
