import { type ClientHttp2Session, connect, constants } from 'node:http2';
import {
  Client,
  type ClientReadableStream,
  credentials,
  Server,
  type ServiceError as StatusError,
  status,
} from '@grpc/grpc-js';
import { service } from 'grpc-health-check';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Health, WATCH_LIMITS } from '../../../src/api/health.ts';
import { type Listener, listen } from '../../../src/api/listen.ts';
import { errorDetails } from '../../support/error-details.ts';

// The real server and real clients over loopback.

const { Check, Watch } = service as Required<typeof service>;
const LONG_NAME = 'x'.repeat(16_000);
const PATIENT = { timeout: 60_000 };

let health: Health;
let server: Server;
let listener: Listener;
let address: string;
let clients: Client[];
let sessions: ClientHttp2Session[];

beforeEach(async () => {
  const log = pino({ level: 'silent' });
  health = new Health({ services: ['a.B'], probe: async () => undefined, log });
  server = new Server();
  health.addTo(server);
  listener = await listen(server, { host: '127.0.0.1', port: 0, maxConnections: 1_000, log });
  address = listener.address;
  clients = [];
  sessions = [];
});
afterEach(() => {
  for (const client of clients) client.close();
  for (const session of sessions) session.destroy();
  void listener.close();
  server.forceShutdown();
});

/** A client with a connection of its own. */
function newClient(): Client {
  const client = new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  clients.push(client);
  return client;
}

function openWatch(client: Client, name: string): ClientReadableStream<{ status: string }> {
  return client.makeServerStreamRequest(Watch!.path, Watch!.requestSerialize, Watch!.responseDeserialize, {
    service: name,
  }) as ClientReadableStream<{ status: string }>;
}

/** The first thing heard: the status written, or the error. */
function firstOf(watch: ClientReadableStream<{ status: string }>): Promise<string | StatusError> {
  return new Promise((resolve) => {
    watch.once('data', (answer: { status: string }) => resolve(answer.status));
    watch.on('error', (error: StatusError) => resolve(error));
  });
}

function check(client: Client, name: string): Promise<string | StatusError> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      Check!.path,
      Check!.requestSerialize,
      Check!.responseDeserialize,
      { service: name },
      (error, answer) => resolve(error ?? (answer as { status: string }).status),
    );
  });
}

/** A Watch in hand-made frames, reset as soon as it is sent. */
function openAndReset(session: ClientHttp2Session, name: string): Promise<void> {
  const message = Watch!.requestSerialize({ service: name });
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: 'POST',
    [constants.HTTP2_HEADER_PATH]: Watch!.path,
    [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
    te: 'trailers',
  });
  return new Promise((resolve) => {
    stream.on('error', () => undefined);
    stream.on('close', resolve);
    stream.end(Buffer.concat([prefix, message]), () => stream.close(constants.NGHTTP2_CANCEL));
  });
}

test('thousands of cancelled Watch calls leave nothing behind', { timeout: 60_000 }, async () => {
  for (let i = 0; i < 30; i++) {
    // Node closes a connection that cancels a thousand calls at once.
    const client = newClient();
    const watches = Array.from({ length: WATCH_LIMITS.maxPerConnection }, (_, n) =>
      openWatch(client, n % 2 === 0 ? 'a.B' : `unknown-${i}-${n}`),
    );
    const heard = await Promise.all(watches.map(firstOf));
    expect(new Set(heard)).toEqual(new Set(['NOT_SERVING', 'SERVICE_UNKNOWN']));
    expect(health.watches.size).toBe(watches.length);
    for (const watch of watches) watch.cancel();
    await expect.poll(() => health.watches.size, PATIENT).toBe(0);
  }
});

test('Watch calls that are reset while they arrive leave nothing behind', { timeout: 60_000 }, async () => {
  for (let i = 0; i < 30; i++) {
    const session = connect(`http://${address}`);
    sessions.push(session);
    await Promise.all(Array.from({ length: 100 }, (_, n) => openAndReset(session, `unknown-${i}-${n}`)));
  }
  // Answered behind everything that was reset.
  await check(newClient(), '');
  await expect.poll(() => health.watches.size, PATIENT).toBe(0);
});

test('one connection has only so many Watch calls, and others are not hindered', async () => {
  const greedy = newClient();
  const kept = Array.from({ length: WATCH_LIMITS.maxPerConnection }, () => openWatch(greedy, ''));
  await Promise.all(kept.map(firstOf));
  const rejected = (await firstOf(openWatch(greedy, ''))) as StatusError;
  expect(rejected.code).toBe(status.RESOURCE_EXHAUSTED);
  expect(errorDetails(rejected).retryInfo?.retryDelay).toBeDefined();
  expect(await firstOf(openWatch(newClient(), ''))).toBe('NOT_SERVING');

  kept[0]!.cancel();
  await expect.poll(() => firstOf(openWatch(greedy, '')), PATIENT).toBe('NOT_SERVING');
});

test('all connections together have only so many Watch calls, and Check goes on', async () => {
  const connections = WATCH_LIMITS.max / WATCH_LIMITS.maxPerConnection;
  for (let i = 0; i < connections; i++) {
    const client = newClient();
    await Promise.all(Array.from({ length: WATCH_LIMITS.maxPerConnection }, () => firstOf(openWatch(client, 'a.B'))));
  }
  expect(health.watches.size).toBe(WATCH_LIMITS.max);
  const late = newClient();
  expect(await firstOf(openWatch(late, ''))).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  expect(await check(late, 'a.B')).toBe('NOT_SERVING');
});

test('a name that is too long is neither kept nor sent back', async () => {
  const client = newClient();
  for (const answer of [await firstOf(openWatch(client, LONG_NAME)), await check(client, LONG_NAME)]) {
    expect(answer).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect((answer as StatusError).details.length).toBeLessThan(100);
  }
  expect(health.watches.size).toBe(0);
});

test('every open Watch is told of a change, but for those of unknown services', async () => {
  const client = newClient();
  const heard: Record<string, string[]> = { '': [], 'a.B': [], unknown: [] };
  const watches = Object.entries(heard).map(([name, statuses]) => {
    const watch = openWatch(client, name).on('data', (answer: { status: string }) => statuses.push(answer.status));
    watch.on('error', () => undefined);
    return watch;
  });
  await expect
    .poll(() => heard, PATIENT)
    .toEqual({ '': ['NOT_SERVING'], 'a.B': ['NOT_SERVING'], unknown: ['SERVICE_UNKNOWN'] });
  await health.start();
  await expect.poll(() => heard['a.B'], PATIENT).toEqual(['NOT_SERVING', 'SERVING']);
  expect(heard).toMatchObject({ '': ['NOT_SERVING', 'SERVING'], unknown: ['SERVICE_UNKNOWN'] });
  health.stop();
  for (const watch of watches) watch.cancel();
});
