import { Client, type ClientDuplexStream, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { REFLECTION_LIMITS } from '../../src/api/reflection.ts';
import { PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import { errorDetails } from '../support/error-details.ts';
import { type ApiProcess, createSystem, type System } from '../support/system.ts';

const PATH = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
/** ServerReflectionRequest.list_services, field 7, empty. */
const LIST = Buffer.from([0x3a, 0]);
/** ServerReflectionRequest.file_containing_symbol, field 4: 60,000 characters, so many packages deep. */
const LONG_SYMBOL = Buffer.concat([Buffer.from([0x22, 0xe0, 0xd4, 0x03]), Buffer.from('a.'.repeat(30_000))]);

const PATIENT = { timeout: 60_000 };

type Stream = ClientDuplexStream<Buffer, Buffer>;

let system: System;
let api: ApiProcess;
const clients: Client[] = [];

beforeAll(async () => {
  system = await createSystem();
  api = await system.startApi();
  await api.client.openFunded('payer', 1_000_000n);
  await api.client.open('payee');
});
afterAll(async () => {
  for (const client of clients) client.close();
  await system.close();
});

/** Each with a connection of its own. */
function newClient(address = api.address): Client {
  const client = new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  clients.push(client);
  return client;
}

function openStream(client: Client): Stream {
  const asIs = (bytes: Buffer) => bytes;
  return client.makeBidiStreamRequest(PATH, asIs, asIs);
}

/** The first answer on the stream, or its error. */
function firstOf(stream: Stream): Promise<Buffer | ServiceError> {
  return new Promise((resolve) => {
    stream.once('data', resolve);
    stream.on('error', resolve);
  });
}

async function listServices(stream: Stream): Promise<Buffer | ServiceError> {
  stream.write(LIST);
  return firstOf(stream);
}

test('many streams of long symbols are rejected, and payments go on meanwhile', async () => {
  let answers = 0;
  let rejected = 0;
  let open = true;
  const streams = Array.from({ length: 12 }, () => newClient()).flatMap((client) =>
    Array.from({ length: REFLECTION_LIMITS.maxPerConnection }, () => openStream(client)),
  );
  for (const stream of streams) {
    const send = () => {
      while (open && stream.writable && stream.write(LONG_SYMBOL));
    };
    stream.on('data', (answer: Buffer) => {
      expect(answer.toString()).toContain('a name has at most 255 characters');
      answers += 1;
    });
    stream.on('error', ({ code }: ServiceError) => {
      if (open) rejected += Number(code === status.RESOURCE_EXHAUSTED);
      stream.removeAllListeners('drain');
    });
    stream.on('drain', send);
    send();
  }
  await expect.poll(() => rejected, PATIENT).toBe(streams.length - REFLECTION_LIMITS.max);
  await expect.poll(() => answers, PATIENT).toBeGreaterThan(REFLECTION_LIMITS.max);
  const before = answers;
  for (let i = 0; i < 10; i++) {
    const payment = { payerAccountId: 'payer', payeeAccountId: 'payee', amountCents: 1n };
    const answer = await api.client.authorize(payment, 5_000);
    expect(answer.status).toBe(PaymentStatus.PAYMENT_STATUS_AUTHORIZED);
    expect((await api.client.payment(answer.paymentId))?.paymentId).toBe(answer.paymentId);
  }
  // They were at it all the time.
  await expect.poll(() => answers, PATIENT).toBeGreaterThan(before);
  open = false;
  for (const stream of streams) stream.cancel();
  // Only then has the process noticed that they have ended.
  await expect.poll(() => listServices(openStream(newClient())), PATIENT).toBeInstanceOf(Buffer);
});

test('one connection has only so many streams, others are not hindered, and one that ends makes room', async () => {
  const client = newClient();
  const kept = Array.from({ length: REFLECTION_LIMITS.maxPerConnection }, () => openStream(client));
  for (const answer of await Promise.all(kept.map(listServices))) expect(answer).toBeInstanceOf(Buffer);
  const rejected = (await listServices(openStream(client))) as ServiceError;
  expect(rejected.code).toBe(status.RESOURCE_EXHAUSTED);
  expect(errorDetails(rejected).retryInfo?.retryDelay).toBeDefined();
  expect(await listServices(openStream(newClient()))).toBeInstanceOf(Buffer);
  for (const stream of kept) stream.end();
  await expect.poll(() => listServices(openStream(client)), PATIENT).toBeInstanceOf(Buffer);
});

test('open streams do not delay the end of the process', async () => {
  const leaving = await system.startApi({ SHUTDOWN_GRACE_MS: '30000' });
  const stream = openStream(newClient(leaving.address));
  expect(await listServices(stream)).toBeInstanceOf(Buffer);
  const ended = new Promise((resolve) => stream.on('end', resolve));
  stream.resume();
  await leaving.stop();
  await ended;
  expect(leaving.log.join('\n')).not.toContain('SHUTDOWN_GRACE_MS');
});

test('REFLECTION=off: there is no such service', async () => {
  const silent = await system.startApi({ REFLECTION: 'off' });
  expect(await listServices(openStream(newClient(silent.address)))).toMatchObject({ code: status.UNIMPLEMENTED });
});
