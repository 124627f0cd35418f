import { connect } from 'node:http2';
import { Client, credentials, Metadata, type Server, type ServiceError as StatusError, status } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Access, UNAUTHENTICATED_CALLS } from '../../../src/api/access/access.ts';
import { CallLog } from '../../../src/api/call-log.ts';
import { Health } from '../../../src/api/health.ts';
import { type Listener, listen } from '../../../src/api/listen.ts';
import { CallMetrics } from '../../../src/api/metrics/call-metrics.ts';
import { Reflection } from '../../../src/api/reflection.ts';
import { createServer, SERVICES } from '../../../src/api/server.ts';
import { ServiceError } from '../../../src/app/errors.ts';
import type { AuthorizeResult } from '../../../src/app/payment-service.ts';
import { connectionLimits } from '../../../src/config/connections.ts';
import { AuthorizePaymentRequest, PaymentServiceService } from '../../../src/gen/payment/v1/payment.ts';
import { UNREPORTED } from '../../support/outage.ts';

// The real server and a real client over loopback; only what is behind the handlers is played.

const PAY = PaymentServiceService.authorizePayment.path;
const request = {
  idempotencyKey: 'key',
  payerAccountId: 'acc-001',
  payeeAccountId: 'acc-002',
  amountCents: 1n,
  currency: 'EUR',
  description: '',
  reference: '',
  metadata: {},
};
const valid = Buffer.from(AuthorizePaymentRequest.encode(request).finish());
const verdict = { status: 'AUTHORIZED', payerVersion: 1n, payeeVersion: 1n } as const;
const ID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const authorized: AuthorizeResult = {
  kind: 'DECIDED',
  action: {
    ...request,
    actionId: ID,
    paymentId: ID,
    kind: 'PAYMENT',
    releasedCents: 0n,
    createdAt: new Date(),
    verdict,
  },
};

let authorize: () => Promise<AuthorizeResult>;
let registry: Registry;
let metrics: CallMetrics;
let server: Server;
let listener: Listener;
let client: Client;

beforeEach(async () => {
  authorize = async () => authorized;
  registry = new Registry();
  metrics = new CallMetrics(registry);
  const log = pino({ level: 'silent' });
  const unused = () => Promise.reject(new Error('not played here'));
  server = createServer({
    payments: { authorize: () => authorize(), hold: unused, findPayment: unused, findPaymentByKey: unused },
    laterActions: { capture: unused, void: unused, refund: unused },
    batches: { execute: unused },
    accounts: { find: unused, balance: unused },
    accountChanges: { open: unused, change: unused },
    reads: { payments: unused, actions: unused, accounts: unused, entries: unused, snapshot: unused },
    health: new Health({ services: SERVICES, probe: async () => undefined, log }),
    reflection: new Reflection(),
    limits: connectionLimits(),
    metrics,
    callLog: new CallLog(log, UNREPORTED),
    access: new Access(UNAUTHENTICATED_CALLS, undefined, registry),
  });
  listener = await listen(server, { host: '127.0.0.1', port: 0, maxConnections: 1_000, log });
  client = new Client(listener.address, credentials.createInsecure());
});

afterEach(() => {
  client.close();
  metrics.close();
  void listener.close();
  server.forceShutdown();
});

function call(path: string, bytes: Buffer, options = {}): Promise<status> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, Buffer.from, Buffer.from, bytes, new Metadata(), options, (error) =>
      resolve(error === null ? status.OK : (error as StatusError).code),
    );
  });
}

/** The lines of a metric that are not 0, by their labels' values. */
async function shown(name: string): Promise<Record<string, number>> {
  const text = await registry.getSingleMetricAsString(name);
  const lines = [...text.matchAll(/^(\w+)\{(.*)\} (\S+)$/gm)].filter(([, , , value]) => value !== '0');
  return Object.fromEntries(
    lines.map(([, , labels, value]) => [
      [...labels!.matchAll(/="([^"]*)"/g)].map(([, label]) => label!.replace(/^[a-z].*\./, '')).join(' '),
      Number(value),
    ]),
  );
}

test('calls are counted by the code that their caller got, spelled as Go does', async () => {
  await call(PAY, valid);
  await call(PAY, Buffer.from([0x0a, 0x7f, 0x41]));
  authorize = () => Promise.reject(new ServiceError({ kind: 'OVERLOADED', retryAfterMs: 1 }, 'too many'));
  expect(await call(PAY, valid)).toBe(status.RESOURCE_EXHAUSTED);
  await expect
    .poll(() => shown('grpc_server_handled_total'))
    .toEqual({
      'unary PaymentService AuthorizePayment OK': 1,
      'unary PaymentService AuthorizePayment InvalidArgument': 1,
      'unary PaymentService AuthorizePayment ResourceExhausted': 1,
    });
  expect(await shown('grpc_server_started_total')).toEqual({ 'unary PaymentService AuthorizePayment': 3 });
});

test('every code of a method is there from the start, so that the first of a kind shows as a rise', async () => {
  const text = await registry.getSingleMetricAsString('grpc_server_handled_total');
  const codes = [...text.matchAll(/grpc_method="GetPayment",grpc_code="(\w+)"\} 0/g)].map(([, code]) => code);
  expect(codes).toEqual([
    'OK',
    'Canceled',
    'Unknown',
    'InvalidArgument',
    'DeadlineExceeded',
    'NotFound',
    'AlreadyExists',
    'PermissionDenied',
    'ResourceExhausted',
    'FailedPrecondition',
    'Aborted',
    'OutOfRange',
    'Unimplemented',
    'Internal',
    'Unavailable',
    'DataLoss',
    'Unauthenticated',
  ]);
});

test('what no handler sees is counted too: too large, cancelled, past its deadline', async () => {
  expect(await call(PAY, Buffer.alloc(100_000))).toBe(status.RESOURCE_EXHAUSTED);
  authorize = () => new Promise(() => undefined);
  expect(await call(PAY, valid, { deadline: Date.now() + 300 })).toBe(status.DEADLINE_EXCEEDED);
  const cancelled = new Promise((resolve) => {
    const pending = client.makeUnaryRequest(PAY, Buffer.from, Buffer.from, valid, resolve);
    setTimeout(() => pending.cancel(), 100);
  });
  await expect
    .poll(() => shown('payment_ledger_calls_in_flight'))
    .toEqual({ 'unary PaymentService AuthorizePayment': 1 });
  await cancelled;
  await expect
    .poll(() => shown('grpc_server_handled_total'))
    .toEqual({
      'unary PaymentService AuthorizePayment ResourceExhausted': 1,
      'unary PaymentService AuthorizePayment DeadlineExceeded': 1,
      'unary PaymentService AuthorizePayment Canceled': 1,
    });
  expect(await shown('payment_ledger_calls_in_flight')).toEqual({});
});

test('health and reflection have their types; an open stream is in flight', async () => {
  const { Check, Watch } = healthService as Required<typeof healthService>;
  await call(Check!.path, Buffer.alloc(0));
  const watch = client.makeServerStreamRequest(Watch!.path, Buffer.from, Buffer.from, Buffer.alloc(0));
  const ended = new Promise((resolve) => watch.on('error', resolve));
  watch.resume();
  const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
  const reflection = client.makeBidiStreamRequest(path, Buffer.from, String);
  // ServerReflectionRequest.list_services, field 7.
  reflection.end(Buffer.from([0x3a, 0]));
  for await (const _ of reflection);
  await expect.poll(() => shown('payment_ledger_calls_in_flight')).toEqual({ 'server_stream Health Watch': 1 });
  watch.cancel();
  await ended;
  await expect
    .poll(() => shown('grpc_server_handled_total'))
    .toEqual({
      'unary Health Check OK': 1,
      'server_stream Health Watch Canceled': 1,
      'bidi_stream ServerReflection ServerReflectionInfo OK': 1,
    });
});

test('methods that there are not have one name, however many a caller thinks of', async () => {
  for (let i = 0; i < 5; i++) expect(await call(`/made.up.v${i}/Method`, valid)).toBe(status.UNIMPLEMENTED);
  const session = connect(`http://${listener.address}`);
  const stream = session.request({ ':method': 'POST', ':path': PAY, 'content-type': 'text/plain' });
  await new Promise((resolve) => stream.once('close', resolve).resume());
  session.close();
  await expect
    .poll(() => shown('grpc_server_handled_total'))
    .toEqual({
      'unknown unknown unknown Unimplemented': 5,
      'unary PaymentService AuthorizePayment InvalidArgument': 1,
    });
});

test('times are in the buckets of a histogram', async () => {
  authorize = () => new Promise((resolve) => setTimeout(resolve, 600, authorized));
  await call(PAY, valid);
  authorize = async () => authorized;
  await call(PAY, valid);
  const method = 'unary PaymentService AuthorizePayment';
  await expect.poll(async () => (await shown('grpc_server_handling_seconds'))[`+Inf ${method}`]).toBe(2);
  const buckets = await shown('grpc_server_handling_seconds');
  expect(buckets[`0.5 ${method}`]).toBe(1);
  expect(buckets[`10 ${method}`]).toBe(2);
  // The sum and the count have the same labels; the count comes last.
  expect(buckets[method]).toBe(2);
});
