import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type OtlpReceiver, startOtlpReceiver } from '../support/otlp-receiver.ts';
import type { Service } from '../support/processes.ts';
import { type ApiProcess, createSystem, type System } from '../support/system.ts';

/** For the collector only. */
const SECRET = { OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20planted', LOG_LEVEL: 'trace' };
/** How long the exporter would wait for an answer: longer than the test takes. */
const NO_ANSWER_MS = 170_000;
/** Exports give up after this, as the exporter goes on trying until then. */
const IMPATIENT = { OTEL_EXPORTER_OTLP_TIMEOUT: '200' };
const OUTAGE = 'the trace collector takes no spans: they are lost until it does';
const BACK = 'the trace collector takes spans again';
const NOT_SENT = 'the last spans did not reach the trace collector';

function linesOf({ log }: Service, message: string): string[] {
  return log.filter((line) => line.includes(message));
}

async function until(condition: () => boolean): Promise<void> {
  await expect.poll(condition).toBe(true);
}

async function payTimes({ client }: ApiProcess, times: number): Promise<void> {
  for (let n = 0; n < times; n++) {
    await client.authorize({ payerAccountId: 'external-RUB', payeeAccountId: 'acc-a', amountCents: 1n });
  }
}

describe('a trace collector that', () => {
  let system: System;
  let receiver: OtlpReceiver;

  beforeEach(async () => {
    receiver = await startOtlpReceiver();
    system = await createSystem();
  });
  afterEach(async () => {
    await system?.close();
    await receiver?.close();
  });

  test('is unreachable keeps no payment and no event from going on, and is logged once', async () => {
    const { env } = receiver;
    await receiver.close();
    const relay = await system.startRelay({ ...env, ...IMPATIENT, ...SECRET });
    const api = await system.startApi({ ...env, ...IMPATIENT, ...SECRET });
    await api.client.openFunded('acc-a', 1_000n);
    await until(() => [api, relay].every((service) => linesOf(service, OUTAGE).length === 1));
    await payTimes(api, 20);
    const isEmpty = async () => (await system.database.query('select from outbox')).length === 0;
    while (!(await isEmpty())) await sleep(50);
    // Long enough for further exports to fail.
    await sleep(1_000);

    for (const service of [api, relay]) {
      expect(await service.stop()).toBe(0);
      expect(linesOf(service, OUTAGE)).toHaveLength(1);
      expect(linesOf(service, NOT_SENT).length).toBeLessThanOrEqual(1);
      expect(service.log.filter((line) => /"level":(50|60)|unhandled|uncaught|planted/i.test(line))).toEqual([]);
    }
    receiver = await startOtlpReceiver();
  });

  test('turns spans away is logged once, and once more when it takes them again', async () => {
    receiver.answerWith(500);
    const api = await system.startApi({ ...receiver.env, ...IMPATIENT, ...SECRET });
    await api.client.openFunded('acc-a', 1_000n);
    await until(() => linesOf(api, OUTAGE).length === 1);
    const { requests } = receiver;
    await payTimes(api, 3);
    await until(() => receiver.requests > requests);
    expect(linesOf(api, BACK)).toEqual([]);
    expect(receiver.authorization).toBe('Bearer planted');

    receiver.answerWith(200);
    await payTimes(api, 3);
    await receiver.until((spans) => spans.some(({ name }) => name === 'payment transaction'));
    await until(() => linesOf(api, BACK).length === 1);
    expect(linesOf(api, OUTAGE)).toHaveLength(1);
    expect(linesOf(api, 'planted')).toEqual([]);
  });

  test('never answers costs spans beyond the queue, not memory and not the shutdown', async () => {
    receiver.answerWith(undefined);
    const api = await system.startApi({
      ...receiver.env,
      OTEL_BSP_MAX_QUEUE_SIZE: '16',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '8',
      OTEL_EXPORTER_OTLP_TIMEOUT: String(NO_ANSWER_MS),
      OTEL_BSP_EXPORT_TIMEOUT: String(NO_ANSWER_MS),
    });
    await api.client.openFunded('acc-a', 1_000n);
    await payTimes(api, 50);
    receiver.answerWith(200);
    // While the request in flight has no answer, all other spans wait, or are dropped.
    await payTimes(api, 5);
    expect(receiver.spans).toEqual([]);
    const stoppingAtMs = performance.now();
    expect(await api.stop()).toBe(0);
    expect(performance.now() - stoppingAtMs).toBeLessThan(NO_ANSWER_MS / 2);
    expect(linesOf(api, NOT_SENT)).toHaveLength(1);
    // More than a hundred had ended; the queue's are sent at the end.
    expect(receiver.spans).toHaveLength(16);
  });
});
