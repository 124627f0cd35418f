import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AuthorizePaymentRequest, PaymentServiceClient } from '../../src/gen/payment/v1/payment.ts';
import { LedgerClient } from '../../tools/client.ts';
import { balanceStatus, statusOf } from '../support/callers.ts';
import { type ApiProcess, createSystem, type System } from '../support/system.ts';

type Callback = (error: ServiceError | null, answer: unknown) => void;

let system: System;

beforeAll(async () => {
  system = await createSystem();
});
afterAll(() => system?.close());

const pause = (ms: number) => new Promise((resume) => setTimeout(resume, ms));

function connectTo(address: string): Socket {
  const { hostname, port } = new URL(`tcp://${address}`);
  // What becomes of the connection is what the tests ask; how it broke is not.
  return connect(Number(port), hostname).on('error', () => undefined);
}

describe('connections that are too old', () => {
  test('are replaced without a failed call', async () => {
    const api = await system.startApi({ GRPC_MAX_CONNECTION_AGE_MS: '300', GRPC_MAX_CONNECTION_AGE_GRACE_MS: '20000' });
    let connections = 0;
    const balancer = createServer((client) => {
      connections += 1;
      const server = connectTo(api.address);
      client.on('error', () => undefined);
      client.pipe(server).pipe(client);
    }).listen(0, '127.0.0.1');
    await once(balancer, 'listening');
    const client = new LedgerClient(`127.0.0.1:${(balancer.address() as AddressInfo).port}`);
    await client.openFunded('old-a', 1_000_000n);
    await client.open('old-b');

    let running = true;
    const ended: string[] = [];
    const callers = Array.from({ length: 16 }, async (_, caller) => {
      while (running) {
        const payment = { payerAccountId: 'old-a', payeeAccountId: 'old-b', amountCents: 1n };
        ended.push(await statusOf(caller % 2 === 0 ? client.authorize(payment) : client.balance('old-a')));
      }
    });
    await expect.poll(() => connections).toBeGreaterThan(10);
    running = false;
    await Promise.all(callers);
    client.close();
    balancer.close();
    expect(ended.length).toBeGreaterThan(100);
    expect(ended.filter((name) => name !== 'OK')).toEqual([]);
  });

  test('are cut once their calls have had the grace', async () => {
    const api = await system.startApi({ GRPC_MAX_CONNECTION_AGE_MS: '300', GRPC_MAX_CONNECTION_AGE_GRACE_MS: '300' });
    const client = new Client(api.address, credentials.createInsecure());
    const watch = client.makeServerStreamRequest('/grpc.health.v1.Health/Watch', Buffer.from, Buffer.from, Buffer.of());
    watch.resume();
    const [error] = (await once(watch, 'error')) as [ServiceError];
    expect([status.UNAVAILABLE, status.CANCELLED, status.INTERNAL]).toContain(error.code);
    client.close();
    expect(await balanceStatus(api.address)).toBe('NOT_FOUND');
  });
});

describe('a flood of connections', () => {
  test('gets no more than the bound, and those that are open go on', async () => {
    const api = await system.startApi({ GRPC_MAX_CONNECTIONS: '20' });
    expect(await statusOf(api.client.balance('nobody'))).toBe('NOT_FOUND');
    const sockets = Array.from({ length: 200 }, () => connectTo(api.address));
    const open = () => sockets.filter((socket) => !socket.destroyed && !socket.readableEnded).length;
    for (const socket of sockets) socket.resume();
    await expect.poll(open).toBeLessThan(20);
    await expect.poll(() => api.log.join('\n')).toContain('connections are closed at once');
    expect(await statusOf(api.client.balance('nobody'))).toBe('NOT_FOUND');
    const late = connectTo(api.address).resume();
    if (!late.closed) await once(late, 'close');

    for (const socket of sockets) socket.destroy();
    await expect.poll(newcomer).toBe('NOT_FOUND');
    async function newcomer(): Promise<string> {
      const options = { 'grpc.use_local_subchannel_pool': 1 };
      const client = new PaymentServiceClient(api.address, credentials.createInsecure(), options);
      const answer = promisify(client.getAccountBalance.bind(client) as (request: object, callback: Callback) => void);
      return statusOf(answer({ accountId: 'nobody' })).finally(() => client.close());
    }
  });
});

describe('frames and messages', () => {
  let api: ApiProcess;

  beforeAll(async () => {
    api = await system.startApi({ GRPC_MAX_MESSAGE_BYTES: '10000' });
  });

  /** Sends bytes as the body of a gRPC call; returns the status it ends with. */
  async function send(body: Buffer, headers: Record<string, string> = {}): Promise<string> {
    const session = connectHttp2(`http://${api.address}`).on('error', () => undefined);
    try {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/payment.v1.PaymentService/AuthorizePayment',
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      });
      stream.on('error', () => undefined);
      const grpcStatus = new Promise<string>((resolve) => {
        const read = (received: Record<string, unknown>) => {
          const code = received['grpc-status'];
          if (code !== undefined) resolve(status[Number(code)]!);
        };
        stream.on('response', (received) => {
          if (received[':status'] !== 200) resolve(`HTTP ${received[':status']}`);
          read(received);
        });
        stream.on('trailers', read);
        stream.on('close', () => resolve('closed'));
      });
      stream.resume();
      stream.end(body);
      return await grpcStatus;
    } finally {
      session.destroy();
    }
  }

  function frame(message: Uint8Array, { compressed = 0, length = message.length } = {}): Buffer {
    const head = Buffer.alloc(5);
    head.writeUInt8(compressed);
    head.writeUInt32BE(length, 1);
    return Buffer.concat([head, message]);
  }

  const request = AuthorizePaymentRequest.encode({
    idempotencyKey: '',
    payerAccountId: 'a',
    payeeAccountId: 'b',
    amountCents: 1n,
    currency: 'RUB',
    description: '',
    reference: '',
    metadata: {},
  }).finish();

  test('a message that is too large is RESOURCE_EXHAUSTED, also one that only says so', async () => {
    expect(await statusOf(api.client.authorize({ description: 'x'.repeat(10_000) }))).toBe('RESOURCE_EXHAUSTED');
    expect(await send(frame(Buffer.alloc(10), { length: 0xffff_ffff }))).toBe('RESOURCE_EXHAUSTED');
  });

  test.each([
    ['no message', Buffer.of(), {}, 'UNIMPLEMENTED'],
    ['half a message', frame(request).subarray(0, 9), {}, 'UNIMPLEMENTED'],
    ['two messages', Buffer.concat([frame(request), frame(request)]), {}, 'UNIMPLEMENTED'],
    ['bytes that are no message', frame(Buffer.of(0x0a, 0x7f, 0x41)), {}, 'INVALID_ARGUMENT'],
    [
      'bytes that are not compressed as they say',
      frame(request, { compressed: 1 }),
      { 'grpc-encoding': 'gzip' },
      'INTERNAL',
    ],
    ['an unknown compression', frame(request, { compressed: 1 }), { 'grpc-encoding': 'zap' }, 'UNIMPLEMENTED'],
    ['a timeout that is none', frame(request), { 'grpc-timeout': 'soon' }, 'INTERNAL'],
    ['an unknown method', frame(request), { ':path': '/payment.v1.PaymentService/Nothing' }, 'UNIMPLEMENTED'],
    ['another content type', frame(request), { 'content-type': 'text/plain' }, 'HTTP 415'],
  ])('%s', async (_what, body, headers, expected) => {
    expect(await send(body, headers)).toBe(expected);
  });

  test('a megabyte of zeros compressed to a kilobyte is not unpacked', async () => {
    const bomb = frame(gzipSync(Buffer.alloc(1_000_000)), { compressed: 1 });
    expect(await send(bomb, { 'grpc-encoding': 'gzip' })).toBe('RESOURCE_EXHAUSTED');
  });

  test('what is not HTTP/2 at all closes its own connection only', async () => {
    for (const bytes of ['GET / HTTP/1.1\r\nHost: ledger\r\n\r\n', '\x16\x03\x01\x00\xff', 'x'.repeat(100_000)]) {
      const socket = connectTo(api.address);
      socket.resume();
      socket.write(bytes);
      if (!socket.closed)
        await Promise.race([once(socket, 'close'), pause(5_000).then(() => expect.fail(bytes.slice(0, 9)))]);
    }
    expect(await statusOf(api.client.balance('nobody'))).toBe('NOT_FOUND');
  });

  test('hundreds of messages that are too large leave nothing behind', async () => {
    const residentMb = async () => {
      const metrics = await (await fetch(`http://${api.ready['metricsAddress']}/metrics`)).text();
      return Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)![1]) / 1e6;
    };
    const flood = async () => {
      for (let i = 0; i < 10; i++) {
        const calls = Array.from({ length: 50 }, () => api.client.authorize({ description: 'x'.repeat(60_000) }));
        for (const { reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[])
          expect(reason.code).toBe(status.RESOURCE_EXHAUSTED);
      }
    };
    await flood();
    const before = await residentMb();
    await flood();
    await flood();
    // Kept, they would be 60 MB.
    expect((await residentMb()) - before).toBeLessThan(40);
    expect(await statusOf(api.client.balance('nobody'))).toBe('NOT_FOUND');
  });
});
