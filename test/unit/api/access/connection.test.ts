import { Client, credentials, Server, ServerCredentials } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { connectionOf } from '../../../../src/api/access/identity/connection.ts';

// On a real server and client: it reads fields of grpc-js that an upgrade may move.

test('calls of one connection have one, calls of two have two', async () => {
  const asIs = (bytes: Buffer) => bytes;
  const seen: (object | undefined)[] = [];
  const server = new Server();
  const method = {
    path: '/test/call',
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  } as const;
  server.addService(
    { call: method },
    {
      call: (call: object, callback: (error: null, reply: Buffer) => void) => {
        seen.push(connectionOf(call));
        callback(null, Buffer.alloc(0));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  const clients = [1, 2].map(
    () => new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 }),
  );
  for (const client of [clients[0]!, clients[0]!, clients[1]!]) {
    await new Promise<void>((resolve, reject) =>
      client.makeUnaryRequest(method.path, asIs, asIs, Buffer.alloc(0), (error) =>
        error === null ? resolve() : reject(error),
      ),
    );
  }
  const [first, second, third] = seen;
  expect(first).toBeTypeOf('object');
  expect(second).toBe(first);
  expect(third).toBeTypeOf('object');
  expect(third).not.toBe(first);
  for (const client of clients) client.close();
  server.forceShutdown();
});
