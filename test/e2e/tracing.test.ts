import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { isSampled } from '../../src/app/tracing.ts';
import { loadTracing } from '../../src/config/tracing.ts';
import type { AuthorizePaymentResponse } from '../../src/gen/payment/v1/payment.ts';
import { startTracing, type Tracing } from '../../src/infra/tracing/start-tracing.ts';
import { consumeEvents, type EventConsumer, type ReceivedEvent } from '../../tools/events.ts';
import { childEnvironment } from '../support/child-environment.ts';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../support/otlp-receiver.ts';
import type { Service } from '../support/processes.ts';
import { createTopic, SHARDS, silent } from '../support/relay.ts';
import { type ApiProcess, createSystem, type System } from '../support/system.ts';

const API = 'payment-ledger-api';
const RELAY = 'payment-ledger-relay';
const CONSUMER = 'account-views';
const AUTHORIZE = 'payment.v1.PaymentService/AuthorizePayment';

/** Makes a process say on its standard error what it loads of OpenTelemetry, besides the API package, which prom-client loads. */
const REPORT_MODULES = {
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(`
    import { registerHooks } from 'node:module';
    registerHooks({
      load(url, context, next) {
        if (/opentelemetry.(?!api.)|open-telemetry/.test(url)) console.error('loads ' + url);
        return next(url, context);
      },
    });`)}`,
};

/** W3C trace context of a caller whose spans are not here. */
function traceparentOf(traceId: string, sampled = true): string {
  return `00-${traceId}-b7ad6b7169203331-${sampled ? '01' : '00'}`;
}

function newTraceId(): string {
  return crypto.randomUUID().replaceAll('-', '');
}

function pay(
  { client }: ApiProcess,
  traceparent: string | undefined,
  overrides: { idempotencyKey?: string; amountCents?: bigint; description?: string } = {},
): Promise<AuthorizePaymentResponse> {
  const metadata = new Metadata();
  if (traceparent !== undefined) metadata.set('traceparent', traceparent);
  const request = {
    idempotencyKey: crypto.randomUUID(),
    payerAccountId: 'acc-payer-unseen',
    payeeAccountId: 'acc-payee-unseen',
    amountCents: 1n,
    currency: 'RUB',
    description: '',
    reference: '',
    metadata: {},
    ...overrides,
  };
  return new Promise((resolve, reject) => {
    client.payments.authorizePayment(request, metadata, { deadline: Date.now() + 30_000 }, (error, response) =>
      error === null ? resolve(response) : reject(error),
    );
  });
}

function ofTrace(spans: readonly ReceivedSpan[], traceId: string): ReceivedSpan[] {
  return spans.filter((span) => span.traceId === traceId);
}

function startConsumer(system: System, env: Readonly<Record<string, string>>): ChildProcess {
  return spawn(process.execPath, ['examples/consumer/main.ts'], {
    env: {
      ...childEnvironment,
      CONSUMER_DATABASE_URL: system.database.url,
      KAFKA_BROKERS: inject('kafkaBrokers'),
      KAFKA_TOPIC: system.topic,
      ...env,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

describe('traces', () => {
  let receiver: OtlpReceiver;
  let system: System;
  let api: ApiProcess;
  let caller: Tracing;
  let consumer: ChildProcess;
  let events: EventConsumer;

  beforeAll(async () => {
    receiver = await startOtlpReceiver();
    system = await createSystem();
    await createTopic({}, SHARDS, system.topic);
    await system.database.query(await readFile('examples/consumer/schema.sql', 'utf8'));
    caller = (await startTracing(loadTracing(receiver.env, 'caller'), silent))!;
    consumer = startConsumer(system, receiver.env);
    events = await consumeEvents(inject('kafkaBrokers'), system.topic);
    api = await system.startApi(receiver.env);
    await api.client.openFunded('acc-payer-unseen', 100_000_000n);
    await api.client.open('acc-payee-unseen');
  });
  afterAll(async () => {
    consumer?.kill();
    if (consumer !== undefined) await once(consumer, 'exit');
    await Promise.all([events?.close(), caller?.stop(1_000), system?.close()]);
    await receiver?.close();
  });

  async function eventOf(paymentId: string): Promise<ReceivedEvent> {
    const isIt = ({ eventId }: ReceivedEvent) => eventId === paymentId;
    await events.until((received) => received.some(isIt));
    return events.events.find(isIt)!;
  }

  test('one trace goes from the caller through API, Postgres, outbox and Kafka to the consumer', async () => {
    const call = caller.tracer.start({ name: 'checkout', kind: 'CLIENT', parent: undefined, attributes: {} })!;
    const [, traceId, callSpanId] = call.traceparent.split('-');
    const { paymentId } = await pay(api, call.traceparent, {
      idempotencyKey: 'key-unseen',
      amountCents: 7_654_321n,
      description: 'description-unseen',
    });
    call.end();
    const [row] = await system.database.query<{ traceparent: string }>(
      `select headers->>'traceparent' as traceparent from outbox
       order by created_at desc, position desc limit 1`,
    );
    await system.startRelay(receiver.env);

    const spans = ofTrace(
      await receiver.until((all) => ofTrace(all, traceId!).some(({ service }) => service === CONSUMER)),
      traceId!,
    );
    const span = (service: string, name: string) => spans.find((one) => one.service === service && one.name === name)!;
    const server = span(API, AUTHORIZE);
    expect(server).toMatchObject({ parentSpanId: callSpanId, kind: 2 });
    expect(server.attributes).toEqual({
      'rpc.system.name': 'grpc',
      'rpc.method': AUTHORIZE,
      'rpc.response.status_code': 'OK',
    });
    const contextOfCall = `00-${traceId}-${server.spanId}-01`;
    expect(row!.traceparent).toBe(contextOfCall);
    expect((await eventOf(paymentId)).headers['traceparent']).toBe(contextOfCall);

    const children = [
      [API, 'payment transaction', 3],
      [RELAY, 'outbox wait', 1],
      [RELAY, `send ${system.topic}`, 4],
      [CONSUMER, `process ${system.topic}`, 5],
    ] as const;
    for (const [service, name, kind] of children) {
      expect(span(service, name), name).toMatchObject({ parentSpanId: server.spanId, kind });
    }
    expect(span('caller', 'checkout').spanId).toBe(callSpanId);
    expect(spans).toHaveLength(children.length + 2);
    const transaction = span(API, 'payment transaction').attributes;
    expect(transaction['payment_ledger.payment.id']).toBe(paymentId);
    expect(transaction['payment_ledger.outcome']).toBe('DECIDED');
    for (const [service, name] of children.slice(1)) {
      expect(span(service, name).attributes['messaging.message.id']).toBe(paymentId);
    }
  });

  test('payments that share a transaction keep a trace each, and links show that they shared it', async () => {
    const traceIds = Array.from({ length: 60 }, newTraceId);
    await Promise.all(traceIds.map((traceId) => pay(api, traceparentOf(traceId))));
    const transactionsOf = (all: readonly ReceivedSpan[]) =>
      all.filter(({ name, traceId }) => name === 'payment transaction' && traceIds.includes(traceId));
    const spans = transactionsOf(await receiver.until((all) => transactionsOf(all).length === 60));
    expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set(traceIds));

    const linked = spans.filter(({ links }) => links.length > 0);
    expect(linked).not.toEqual([]);
    for (const first of spans.filter(({ links }) => links.length === 0)) {
      const others = linked.filter(({ links }) => links[0]!.spanId === first.spanId);
      expect(others.length + 1).toBe(Number(first.attributes['db.operation.batch.size']));
    }
  });

  test('what the caller does not have recorded leaves no spans, and its trace context travels on', async () => {
    const unsampled = traceparentOf(newTraceId(), false);
    const { paymentId } = await pay(api, unsampled);
    const sampled = newTraceId();
    await pay(api, traceparentOf(sampled));
    expect((await eventOf(paymentId)).headers['traceparent']).toBe(unsampled);
    const isSent = ({ service, traceId }: ReceivedSpan) => service === CONSUMER && traceId === sampled;
    const spans = await receiver.until((all) => all.some(isSent));
    expect(ofTrace(spans, unsampled.split('-')[1]!)).toEqual([]);
  });

  test('of calls without trace context the sampler decides', async () => {
    const off = await system.startApi({ ...receiver.env, OTEL_TRACES_SAMPLER: 'parentbased_always_off' });
    const { paymentId: unsampled } = await pay(off, undefined);
    expect((await eventOf(unsampled)).headers).not.toHaveProperty('traceparent');
    const { paymentId } = await pay(api, undefined);
    const { traceparent } = (await eventOf(paymentId)).headers;
    expect(isSampled(traceparent)).toBe(true);
    const spans = ofTrace(
      await receiver.until((all) => all.some((span) => span.attributes['messaging.message.id'] === paymentId)),
      traceparent!.split('-')[1]!,
    );
    expect(spans.map(({ name }) => name)).toContain(AUTHORIZE);
  });

  test('without an endpoint neither SDK nor exporter is loaded', async () => {
    const loads = ({ log }: Service) => log.filter((line) => line.startsWith('loads '));
    const off = await Promise.all([system.startApi(REPORT_MODULES), system.startRelay(REPORT_MODULES)]);
    expect(off.flatMap(loads)).toEqual([]);
    const on = await system.startApi({ ...REPORT_MODULES, ...receiver.env });
    expect(loads(on)).not.toEqual([]);
  });

  test("a caller's mistake is no failure of the server", async () => {
    await expect(api.client.payment('no-such-payment')).rejects.toThrow('NOT_FOUND');
    const isIt = ({ name, service }: ReceivedSpan) =>
      service === API && name === 'payment.v1.PaymentService/GetPayment';
    const span = (await receiver.until((all) => all.some(isIt))).find(isIt)!;
    expect(span.attributes['rpc.response.status_code']).toBe('NOT_FOUND');
    expect(span.status.code ?? 0).toBe(0);
  });

  test('no amount, description, account or idempotency key is in any span', () => {
    const everything = receiver.bodies.join('\n');
    expect(everything).toContain(AUTHORIZE);
    for (const text of ['key-unseen', '7654321', 'description-unseen', 'acc-payer-unseen', 'acc-payee-unseen']) {
      expect(everything, text).not.toContain(text);
    }
  });
});
