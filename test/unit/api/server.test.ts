import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials, Metadata, type Server, type ServiceError as StatusError, status } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Access, UNAUTHENTICATED_CALLS } from '../../../src/api/access/access.ts';
import { CallLog } from '../../../src/api/call-log.ts';
import { Health } from '../../../src/api/health.ts';
import { type Listener, listen } from '../../../src/api/listen.ts';
import { CallMetrics } from '../../../src/api/metrics/call-metrics.ts';
import { Reflection } from '../../../src/api/reflection.ts';
import { createServer, SERVICES, type Services } from '../../../src/api/server.ts';
import { stopServing } from '../../../src/api/shutdown.ts';
import { ServiceError } from '../../../src/app/errors.ts';
import type { AuthorizeRequest, AuthorizeResult } from '../../../src/app/payment-service.ts';
import { connectionLimits } from '../../../src/config/connections.ts';
import { BadRequest, RequestInfo } from '../../../src/gen/google/rpc/error_details.ts';
import { Status } from '../../../src/gen/google/rpc/status.ts';
import {
  AuthorizePaymentRequest,
  type AuthorizePaymentResponse,
  PaymentErrorCode,
  PaymentServiceService,
  PaymentStatus,
} from '../../../src/gen/payment/v1/payment.ts';
import { UNREPORTED } from '../../support/outage.ts';

// The real server and a real client over loopback; only what is behind the handlers is played.

const good: AuthorizePaymentRequest = {
  idempotencyKey: 'key',
  payerAccountId: 'acc-001',
  payeeAccountId: 'acc-002',
  amountCents: 9_007_199_254_740_993n,
  currency: 'RUB',
  description: 'čaj 🍵',
  reference: 'order-1',
  metadata: { note: '🍵' },
};

const at = new Date('2026-01-02T03:04:05.678Z');
const authorized: Exclude<AuthorizeResult, { kind: 'NOT_STORED' }> = {
  kind: 'DECIDED',
  action: {
    ...good,
    actionId: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
    paymentId: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
    kind: 'PAYMENT',
    releasedCents: 0n,
    createdAt: at,
    verdict: { status: 'AUTHORIZED', payerVersion: 1n, payeeVersion: 1n },
  },
};

let authorize: (request: AuthorizeRequest, abandoned: () => boolean) => Promise<AuthorizeResult>;
let databaseUnreachable: boolean;
let server: Server;
let listener: Listener;
let health: Health;
let reflection: Reflection;
let metrics: CallMetrics;
let registry: Registry;
/** What was logged of calls. */
let lines: Record<string, unknown>[];
let client: Client;

beforeEach(async () => {
  authorize = async () => authorized;
  databaseUnreachable = false;
  registry = new Registry();
  lines = [];
  const log = pino({ level: 'silent' });
  const probe = async () => {
    if (databaseUnreachable) throw new Error('unreachable');
  };
  health = new Health({ services: SERVICES, probe, log });
  reflection = new Reflection();
  const unused = () => Promise.reject(new Error('not played here'));
  metrics = new CallMetrics(registry);
  const services: Services = {
    payments: {
      authorize: (request, abandoned) => authorize(request, abandoned),
      hold: unused,
      findPayment: unused,
      findPaymentByKey: unused,
    },
    laterActions: { capture: unused, void: unused, refund: unused },
    batches: { execute: unused },
    accounts: { find: unused, balance: unused },
    accountChanges: { open: unused, change: unused },
    reads: { payments: unused, actions: unused, accounts: unused, entries: unused, snapshot: unused },
    health,
    reflection,
    limits: connectionLimits(),
    metrics,
    callLog: new CallLog(
      pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
      UNREPORTED,
    ),
    access: new Access(UNAUTHENTICATED_CALLS, undefined, registry),
  };
  server = createServer(services);
  listener = await listen(server, { host: '127.0.0.1', port: 0, maxConnections: 1_000, log });
  client = new Client(listener.address, credentials.createInsecure());
});

afterEach(() => {
  client.close();
  health.stop();
  metrics.close();
  void listener.close();
  server.forceShutdown();
});

/** Calls AuthorizePayment with any bytes for a request. */
function callRaw(bytes: Uint8Array, options = {}, metadata = new Metadata()): Promise<AuthorizePaymentResponse> {
  const { path, responseDeserialize } = PaymentServiceService.authorizePayment;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      Buffer.from,
      responseDeserialize,
      Buffer.from(bytes),
      metadata,
      options,
      (error, response) => (error === null ? resolve(response!) : reject(error)),
    );
  });
}

function call(request = good, options = {}, metadata = new Metadata()): Promise<AuthorizePaymentResponse> {
  return callRaw(AuthorizePaymentRequest.encode(request).finish(), options, metadata);
}

/** The status the call ends with. */
async function failure(outcome: Promise<unknown>): Promise<StatusError> {
  return outcome.then(
    () => expect.fail('the call succeeded'),
    (error) => error,
  );
}

function violations(error: StatusError) {
  const { details } = Status.decode(error.metadata.get('grpc-status-details-bin')[0] as Buffer);
  return BadRequest.decode(details[0]!.value).fieldViolations.map(({ field, description }) => [field, description]);
}

describe('answers', () => {
  test('a decided payment, with int64 and time kept to the last digit', async () => {
    let seen: AuthorizeRequest | undefined;
    authorize = async (request) => {
      seen = request;
      return authorized;
    };
    expect(await call()).toEqual({
      paymentId: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
      status: PaymentStatus.PAYMENT_STATUS_AUTHORIZED,
      error: undefined,
      processedAt: '2026-01-02T03:04:05.678Z',
      originalStatus: PaymentStatus.PAYMENT_STATUS_UNSPECIFIED,
    });
    expect(seen).toEqual({ ...good, kind: 'PAYMENT', caller: '', mayPayFromExternal: true, traceparent: undefined });
  });

  test('a decline that is not stored has no id, and the time to wait', async () => {
    const decline = { code: 'RATE_LIMITED', message: 'Too many.' } as const;
    authorize = async () => ({ kind: 'NOT_STORED', decline, retryAfterMs: 120, at });
    expect(await call()).toEqual({
      paymentId: '',
      status: PaymentStatus.PAYMENT_STATUS_DECLINED,
      error: { code: PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED, message: 'Too many.', retryAfterMs: 120n },
      processedAt: '2026-01-02T03:04:05.678Z',
      originalStatus: PaymentStatus.PAYMENT_STATUS_UNSPECIFIED,
    });
  });

  test('a duplicate of a declined payment, with its error', async () => {
    const decline = { code: 'INSUFFICIENT_FUNDS', message: 'No funds.' } as const;
    authorize = async () => ({
      kind: 'DUPLICATE',
      action: { ...authorized.action, verdict: { status: 'DECLINED', decline } },
    });
    expect(await call()).toMatchObject({
      status: PaymentStatus.PAYMENT_STATUS_DUPLICATE,
      error: { code: PaymentErrorCode.PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS, message: 'No funds.' },
    });
  });

  test('a well-formed traceparent is handed on, any other is ignored', async () => {
    const seen: unknown[] = [];
    authorize = async ({ traceparent }) => {
      seen.push(traceparent);
      return authorized;
    };
    const valid = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    for (const traceparent of [
      valid,
      'x'.repeat(5_000),
      valid.replace('4bf92f3577b34da6a3ce929d0e0e4736', '0'.repeat(32)),
    ]) {
      const metadata = new Metadata();
      metadata.set('traceparent', traceparent);
      await call(good, {}, metadata);
    }
    expect(seen).toEqual([valid, undefined, undefined]);
  });
});

describe('bad requests', () => {
  test('invalid UTF-8 is INVALID_ARGUMENT and names the field', async () => {
    // Field 3, payee_account_id: one byte that no UTF-8 has, and then a long text that is cut within a character.
    const bad = Buffer.from([0x1a, 1, 0xff, 0x32, 60, ...Buffer.alloc(59, 'x'), 0xf0]);
    const error = await failure(callRaw(Buffer.concat([AuthorizePaymentRequest.encode(good).finish(), bad])));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(violations(error)).toEqual([
      ['payee_account_id', 'must be valid UTF-8'],
      ['description', 'must be valid UTF-8'],
    ]);
  });

  test('bytes that are no message are INVALID_ARGUMENT too, not the fault of the server', async () => {
    const error = await failure(callRaw(Buffer.from([0x0a, 0x7f, 0x41])));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
  });

  test('the whole of the largest valid request fits', async () => {
    const largest = {
      ...good,
      idempotencyKey: '🐘'.repeat(255),
      payerAccountId: '🐘'.repeat(64),
      payeeAccountId: '🐁'.repeat(64),
      description: '🐘'.repeat(1_000),
    };
    expect((await call(largest)).status).toBe(PaymentStatus.PAYMENT_STATUS_AUTHORIZED);
  });
});

describe('failures', () => {
  test('what a handler throws, at once or later, ends the call', async () => {
    authorize = () => {
      throw new ServiceError({ kind: 'OVERLOADED', retryAfterMs: 100 }, 'Too many are waiting.');
    };
    expect(await failure(call())).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      details: 'Too many are waiting.',
    });
    authorize = async () => {
      throw new Error('secret');
    };
    const error = await failure(call());
    expect(error.code).toBe(status.INTERNAL);
    expect(error.message).not.toContain('secret');
  });

  test('a call is abandoned once its caller cancels or its deadline passes', async () => {
    let reached = Promise.withResolvers<() => boolean>();
    authorize = (_, gone) => {
      reached.resolve(gone);
      return new Promise(() => undefined);
    };
    // Far enough away that a busy machine brings the call to its handler before.
    const late = failure(call(good, { deadline: Date.now() + 1_000 }));
    const past = await reached.promise;
    expect(past()).toBe(false);
    expect((await late).code).toBe(status.DEADLINE_EXCEEDED);
    // A deadline travels as the time that is left, so the server's is a little later than the caller's.
    await expect.poll(past).toBe(true);

    reached = Promise.withResolvers();
    const { path, responseDeserialize } = PaymentServiceService.authorizePayment;
    const bytes = Buffer.from(AuthorizePaymentRequest.encode(good).finish());
    const ended = Promise.withResolvers<StatusError | null>();
    const started = client.makeUnaryRequest(path, Buffer.from, responseDeserialize, bytes, ended.resolve);
    const gone = await reached.promise;
    expect(gone()).toBe(false);
    started.cancel();
    expect((await ended.promise)?.code).toBe(status.CANCELLED);
    await expect.poll(gone).toBe(true);
  });
});

describe('the id of a request', () => {
  /** The id that came back with the answer. */
  function answeredId(sent: string[]): Promise<string> {
    const metadata = new Metadata();
    for (const id of sent) metadata.add('x-request-id', id);
    const { path, responseDeserialize } = PaymentServiceService.authorizePayment;
    const bytes = Buffer.from(AuthorizePaymentRequest.encode(good).finish());
    return new Promise((resolve) => {
      client
        .makeUnaryRequest(path, Buffer.from, responseDeserialize, bytes, metadata, () => undefined)
        .on('metadata', (received: Metadata) => resolve(String(received.get('x-request-id')[0])));
    });
  }

  test('comes back with the answer and is in the log', async () => {
    expect(await answeredId(['01ARZ3NDEKTSV4RRFFQ69G5FAV'])).toBe('01ARZ3NDEKTSV4RRFFQ69G5FAV');
    expect(lines.at(-1)).toMatchObject({ requestId: '01ARZ3NDEKTSV4RRFFQ69G5FAV' });
  });

  test.each([[[]], [['a', 'b']], [['x'.repeat(129)]], [['a b']], [['<script>']], [['']]])(
    '%j is no id: the call gets a new one',
    async (sent) => {
      const id = await answeredId(sent);
      expect(id).toMatch(/^[0-9a-f-]{36}$/);
      expect(lines.at(-1)).toMatchObject({ requestId: id });
    },
  );

  test('comes back with an error, in the metadata and the details', async () => {
    const metadata = new Metadata();
    metadata.set('x-request-id', 'req-1');
    const error = await failure(call({ ...good, currency: 'rub' }, {}, metadata));
    expect(error.metadata.get('x-request-id')).toEqual(['req-1']);
    const { details } = Status.decode(error.metadata.get('grpc-status-details-bin')[0] as Buffer);
    expect(RequestInfo.decode(details.at(-1)!.value).requestId).toBe('req-1');
  });
});

describe('the log', () => {
  const method = '/payment.v1.PaymentService/AuthorizePayment';

  test('has a line for each call, with what became of it', async () => {
    const metadata = new Metadata();
    metadata.set('traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
    await call(good, {}, metadata);
    const decline = { code: 'INSUFFICIENT_FUNDS', message: 'No funds.' } as const;
    authorize = async () => ({
      kind: 'DUPLICATE',
      action: { ...authorized.action, verdict: { status: 'DECLINED', decline } },
    });
    await call();
    expect(lines).toMatchObject([
      {
        level: 20,
        msg: 'call',
        method,
        code: 'OK',
        outcome: 'AUTHORIZED',
        durationMs: expect.any(Number),
        paymentId: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
        traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      },
      { outcome: 'DUPLICATE', declineCode: 'INSUFFICIENT_FUNDS', paymentId: '01ARZ3NDEKTSV4RRFFQ69G5FAV' },
    ]);
    const all = JSON.stringify(lines);
    for (const secret of [good.idempotencyKey, good.payerAccountId, good.description, String(good.amountCents)]) {
      expect(all).not.toContain(`"${secret}"`);
    }
  });

  test('has why a call failed, and an error that nobody foresaw whole', async () => {
    await failure(call({ ...good, currency: 'rub' }));
    authorize = async () => {
      throw new Error('the tables are gone');
    };
    const { details } = await failure(call());
    expect(lines).toMatchObject([
      {
        level: 30,
        msg: 'call failed',
        method,
        code: 'INVALID_ARGUMENT',
        reason: 'INVALID_REQUEST',
        fields: ['currency'],
      },
      { level: 50, msg: 'call failed unexpectedly', code: 'INTERNAL', err: { message: 'the tables are gone' } },
    ]);
    expect(details).toContain(lines[1]!['errorId']);
  });

  test('shows a payment that was made although its caller had gone', async () => {
    authorize = async () => {
      await sleep(400);
      return authorized;
    };
    expect((await failure(call(good, { deadline: Date.now() + 300 }))).code).toBe(status.DEADLINE_EXCEEDED);
    await expect
      .poll(() => lines)
      .toMatchObject([{ level: 30, code: 'DEADLINE_EXCEEDED', outcome: 'AUTHORIZED', paymentId: expect.any(String) }]);
  });
});

describe('health', () => {
  const { Check, Watch, List } = healthService as Required<typeof healthService>;

  function check(name: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        Check!.path,
        Check!.requestSerialize,
        Check!.responseDeserialize,
        { service: name },
        (error, response) => (error === null ? resolve((response as { status: string }).status) : reject(error)),
      );
    });
  }

  test('NOT_SERVING until a probe succeeds, and again after two have failed', async () => {
    expect(await check('')).toBe('NOT_SERVING');
    await health.start();
    expect(await check('')).toBe('SERVING');
    for (const name of SERVICES) expect(await check(name)).toBe('SERVING');
    expect((await failure(check('nope'))).code).toBe(status.NOT_FOUND);

    databaseUnreachable = true;
    await expect.poll(() => check(''), { timeout: 3_000 }).toBe('NOT_SERVING');
    databaseUnreachable = false;
    await expect.poll(() => check(''), { timeout: 3_000 }).toBe('SERVING');
  });

  test('List names every service', async () => {
    await health.start();
    const statuses = await new Promise<unknown>((resolve, reject) => {
      client.makeUnaryRequest(List!.path, List!.requestSerialize, List!.responseDeserialize, {}, (error, response) =>
        error === null ? resolve((response as { statuses: unknown }).statuses) : reject(error),
      );
    });
    expect(statuses).toEqual(Object.fromEntries(['', ...SERVICES].map((name) => [name, { status: 'SERVING' }])));
  });

  test('an open Watch is told of the end and does not hold it up', async () => {
    await health.start();
    const seen: unknown[] = [];
    const watch = client.makeServerStreamRequest(Watch!.path, Watch!.requestSerialize, Watch!.responseDeserialize, {
      service: '',
    });
    const ended = new Promise((resolve) => watch.on('status', resolve));
    watch.on('data', ({ status }: { status: string }) => seen.push(status));
    await expect.poll(() => seen).toEqual(['SERVING']);
    expect(await stopServing(server, { listener, health, reflection }, { drainMs: 0, graceMs: 5_000 })).toBe(true);
    await ended;
    expect(seen).toEqual(['SERVING', 'NOT_SERVING']);
  });
});

describe('reflection', () => {
  test.each(['v1', 'v1alpha'])('%s lists every service', async (version) => {
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    const stream = client.makeBidiStreamRequest(path, Buffer.from, String);
    // ServerReflectionRequest.list_services, field 7.
    stream.end(Buffer.from([0x3a, 0]));
    const answers: string[] = [];
    for await (const answer of stream) answers.push(answer);
    const names = [
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
    ];
    for (const name of [...SERVICES, ...names]) expect(answers.join()).toContain(name);
  });
});

describe('shutdown', () => {
  test('finishes the calls in flight; new ones get UNAVAILABLE', async () => {
    let finish: (result: AuthorizeResult) => void = () => undefined;
    authorize = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    const inFlight = call();
    await sleep(100);
    const stopped = stopServing(server, { listener, health, reflection }, { drainMs: 0, graceMs: 5_000 });
    await sleep(100);
    expect((await failure(call())).code).toBe(status.UNAVAILABLE);
    finish(authorized);
    expect((await inFlight).status).toBe(PaymentStatus.PAYMENT_STATUS_AUTHORIZED);
    expect(await stopped).toBe(true);
  });

  test('waits no longer than the grace', async () => {
    authorize = () => new Promise(() => undefined);
    const inFlight = failure(call(good, { deadline: Date.now() + 1_000 }));
    await sleep(100);
    expect(await stopServing(server, { listener, health, reflection }, { drainMs: 0, graceMs: 200 })).toBe(false);
    expect((await inFlight).code).toBe(status.DEADLINE_EXCEEDED);
  });
});
