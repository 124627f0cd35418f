import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectFrames } from '../../../bench/load/frames-connection.ts';
import type { Connection } from '../../../bench/load/transport.ts';

const PATH = '/test.Echo/Echo';
const asIs = (bytes: Buffer) => bytes;

let server: Server;
let address: string;
let connection: Connection;
const errors: Error[] = [];

/** Answers with the request; a request of one byte asks for that status instead. */
function echo(call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>): void {
  if (call.request.length === 1) callback({ code: call.request[0]!, details: 'as you wish' });
  else callback(null, call.request);
}

beforeAll(async () => {
  server = new Server();
  const method = {
    path: PATH,
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
  server.addService({ Echo: method }, { Echo: echo });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  address = `127.0.0.1:${port}`;
  connection = await connectFrames(address, PATH, (error) => errors.push(error));
});

afterAll(() => {
  connection.close();
  server.forceShutdown();
});

function call(message: Buffer): Promise<{ code: number; reply: string | undefined }> {
  return new Promise((resolve) => {
    connection.call(message, {
      replied: (code, reply) => resolve({ code, reply: reply && Buffer.from(reply).toString() }),
    });
  });
}

test('calls are answered, many at a time and more than the server takes unread', async () => {
  const texts = Array.from({ length: 900 }, (_, n) => `message ${n} ${'x'.repeat(200)}`);
  const answers = await Promise.all(texts.map((text) => call(Buffer.from(text))));
  expect(answers.map(({ code }) => code)).toEqual(texts.map(() => status.OK));
  expect(answers.map(({ reply }) => reply)).toEqual(texts);
  expect(errors).toEqual([]);
});

test('a status that is not OK arrives, of one digit and of two', async () => {
  for (const code of [status.INVALID_ARGUMENT, status.NOT_FOUND, status.UNAVAILABLE, status.UNAUTHENTICATED]) {
    expect((await call(Buffer.of(code))).code).toBe(code);
  }
});
