import { Registry } from 'prom-client';
import { afterEach, expect, test } from 'vitest';
import { type MetricsServer, startMetricsServer } from '../../../src/infra/metrics/metrics-server.ts';

let server: MetricsServer | undefined;

afterEach(() => server?.close());

async function answer(method: string, path: string, problem?: string) {
  const registry = new Registry();
  server = await startMetricsServer({
    host: '127.0.0.1',
    port: 0,
    registry,
    healthy: () => problem,
    ready: () => problem,
  });
  const response = await fetch(`http://${server.address}${path}`, { method });
  return { status: response.status, body: await response.text() };
}

test.each(['/healthz', '/readyz'])('HEAD of %s is answered as GET is, without the text', async (path) => {
  expect(await answer('HEAD', path)).toEqual({ status: 200, body: '' });
  await server?.close();
  expect(await answer('HEAD', path, 'broken')).toEqual({ status: 503, body: '' });
  await server?.close();
  expect(await answer('GET', path, 'broken')).toEqual({ status: 503, body: 'broken\n' });
});

test('other methods are rejected', async () => {
  expect(await answer('POST', '/healthz')).toEqual({ status: 405, body: 'only GET and HEAD\n' });
});
