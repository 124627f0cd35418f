import { readFile } from 'node:fs/promises';
import { Ajv, type ValidateFunction } from 'ajv';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { replay } from '../../src/app/replay.ts';
import { PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import { postgresHistory } from '../../src/infra/postgres/outbox/account-history.ts';
import { postgresReplayOutbox } from '../../src/infra/postgres/outbox/replay.ts';
import { consumeEvents, type ReceivedEvent } from '../../tools/events.ts';
import { captureItem, holdItem, refundItem, transferItem, voidItem } from '../support/batches.ts';
import { createSystem, type System } from '../support/system.ts';

const FOLDER = 'docs/events';

const TYPES = [
  'payment.authorized.v1',
  'payment.declined.v1',
  'payment.held.v1',
  'payment.captured.v1',
  'payment.voided.v1',
  'payment.expired.v1',
  'payment.refunded.v1',
  'payment.action_declined.v1',
  'account.opened.v1',
  'account.updated.v1',
  'account.frozen.v1',
  'account.unfrozen.v1',
  'account.closed.v1',
];
/**
 * Six payments, three holds with four later actions, two refunds, four accounts, four changes; two holds and a batch of six, and two
 * batches that are declined.
 */
const EVENTS = 33;

/** Of AsyncAPI, what is looked at here. */
interface AsyncApi {
  readonly components: {
    readonly messages: Readonly<
      Record<string, { readonly headers: object; readonly payload: { readonly schema: { readonly $ref: string } } }>
    >;
  };
}

/** Each event once, and once more if it was replayed: a relay that hears of no acknowledgement in time sends again. */
function withoutRepeats(received: readonly ReceivedEvent[]): readonly ReceivedEvent[] {
  return [...new Map(received.map((event) => [`${event.eventId} ${event.headers['ce_replayed']}`, event])).values()];
}

describe('what is on Kafka', () => {
  let system: System;
  let events: readonly ReceivedEvent[];
  let value: (type: string) => ValidateFunction;
  let headers: (type: string) => ValidateFunction;

  beforeAll(async () => {
    const document: AsyncApi = JSON.parse(await readFile(`${FOLDER}/asyncapi.json`, 'utf8'));
    const ajv = new Ajv({
      allErrors: true,
      formats: { 'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'uri-reference': /^\S+$/ },
    });
    // So that what its references name is found in it.
    ajv.addVocabulary(Object.keys(document));
    ajv.addSchema(document, 'asyncapi.json');
    for (const { payload } of Object.values(document.components.messages)) {
      const name = payload.schema.$ref.replace('./', '');
      ajv.addSchema(JSON.parse(await readFile(`${FOLDER}/${name}`, 'utf8')), name);
    }
    const compiled = (pointer: string) => ajv.compile({ $ref: pointer });
    value = (type) => compiled(`${type}.schema.json`);
    headers = (type) => compiled(`asyncapi.json#/components/messages/${type}/headers`);

    system = await createSystem();
    await system.startRelay();
    const { client } = await system.startApi();
    for (const account of ['acc-a', 'acc-b']) await client.openFunded(account, 1_000n);
    await client.open('acc-eur', { currency: 'EUR' });
    const pay = { payerAccountId: 'acc-a', payeeAccountId: 'acc-b', amountCents: 1_000n };
    // To a balance of zero, which is left out.
    const all = await client.authorize({
      ...pay,
      description: 'all',
      reference: 'order 1',
      metadata: { channel: 'web' },
    });
    await client.authorize({ ...pay, metadata: { why: 'no funds' } });
    await client.authorize({ ...pay, payerAccountId: 'nobody' });
    await client.authorize({ ...pay, payerAccountId: 'acc-b', payeeAccountId: 'acc-eur' });
    const hold = { payerAccountId: 'acc-b', payeeAccountId: 'acc-a', amountCents: 10n };
    const held = async (ttl?: { seconds: bigint; nanos: number }) =>
      (await client.hold({ ...hold, ttl, metadata: { night: '1' } })).payment!.paymentId;
    const captured = await held();
    await client.capture(captured, { amountCents: 4n, reference: 'parcel 1' });
    await client.capture(captured);
    await client.void(await held(), { description: 'cancelled' });
    const over = await held({ seconds: 0n, nanos: 1_000_000 });
    while ((await client.payment(over))!.status !== PaymentStatus.PAYMENT_STATUS_EXPIRED) {
      await new Promise((resume) => setTimeout(resume, 100));
    }
    await client.refund(all.paymentId, { amountCents: 1n, reference: 'return 1', metadata: { shop: '12' } });
    await client.refund(all.paymentId, { amountCents: 1_000n });
    const noted = { reference: 'batch 1', metadata: { part: '1' } };
    const [toCapture, toVoid] = [await held(), await held()];
    const transfer = transferItem({ payerAccountId: 'acc-b', payeeAccountId: 'acc-a', amountCents: 2n, ...noted });
    await client.batch([
      transfer,
      holdItem({ ...hold, ...noted }),
      captureItem(toCapture, { amountCents: 1n, ...noted }),
      voidItem(toVoid, noted),
      refundItem(all.paymentId, { amountCents: 1n, ...noted }),
      transfer,
    ]);
    await client.batch([
      transfer,
      transferItem({ payerAccountId: 'acc-b', payeeAccountId: 'nobody', amountCents: 1n }),
    ]);
    await client.batch([transfer, captureItem(toCapture)]);
    await client.updateAccount('acc-eur', { overdraftLimitCents: 5n, metadata: { tier: 'gold' }, reason: 'promoted' });
    await client.freeze('acc-eur');
    await client.unfreeze('acc-eur', { debits: true });
    await client.closeAccount('acc-eur');
    const past = { kind: 'TIME', from: new Date(0), to: new Date(Date.now() + 60_000) } as const;
    const pool = system.database.application;
    const history = postgresHistory(pool);
    await replay(history, postgresReplayOutbox(pool), past, () => undefined);
    const consumer = await consumeEvents(inject('kafkaBrokers'), system.topic);
    await consumer.until((received) => withoutRepeats(received).length === 2 * EVENTS);
    await consumer.close();
    events = withoutRepeats(consumer.events);
  });
  afterAll(() => system?.close());

  test('is what the schemas say, headers and values', () => {
    const problems = events.flatMap((event) =>
      [[value(event.type), JSON.parse(event.value)] as const, [headers(event.type), event.headers] as const].flatMap(
        ([validate, data]) => (validate(data) ? [] : [{ event, errors: validate.errors }]),
      ),
    );
    expect(problems).toEqual([]);
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(TYPES));
    expect(events.filter((event) => event.headers['ce_replayed'] === 'true')).toHaveLength(EVENTS);
  });

  test('of a batch has its id, in every kind of event that it can have', () => {
    const batches = Map.groupBy(
      events.filter(
        (event) => event.headers['ce_replayed'] !== 'true' && JSON.parse(event.value).batchId !== undefined,
      ),
      (event) => String(JSON.parse(event.value).batchId),
    );
    const types = [...batches.values()].map((ofOne) => ofOne.map(({ type }) => type).sort());
    expect(types.sort((one, other) => other.length - one.length || (one[0]! < other[0]! ? -1 : 1))).toEqual([
      [
        'payment.authorized.v1',
        'payment.authorized.v1',
        'payment.captured.v1',
        'payment.held.v1',
        'payment.refunded.v1',
        'payment.voided.v1',
      ],
      ['payment.action_declined.v1'],
      ['payment.declined.v1'],
    ]);
  });

  test('would be found out if it were anything else', () => {
    const authorized = events.find(({ type }) => type === 'payment.authorized.v1')!;
    const sent = JSON.parse(authorized.value);
    const validate = value(authorized.type);
    for (const wrong of [
      { ...sent, amountCents: 100 },
      { ...sent, payer: undefined },
      { ...sent, payer: { ...sent.payer, version: undefined } },
      { ...sent, payee: { ...sent.payee, balanceCents: '1.5' } },
      { ...sent, authorizedAt: 'yesterday' },
      { ...sent, metadata: { count: 1 } },
    ]) {
      expect(validate(JSON.parse(JSON.stringify(wrong)))).toBe(false);
    }
    // Consumers must expect fields that are added.
    expect(validate({ ...sent, added: 1 })).toBe(true);
    const frozen = events.find(({ type }) => type === 'account.frozen.v1')!;
    for (const wrong of [{ revision: 2 }, { state: 'FROZEN' }, { state: undefined }, { debitsFrozen: 'true' }]) {
      const account = { ...JSON.parse(frozen.value), ...wrong };
      expect(value(frozen.type)(JSON.parse(JSON.stringify(account)))).toBe(false);
    }
    expect(headers(authorized.type)({ ...authorized.headers, ce_type: 'payment.declined.v1' })).toBe(false);
    const { ce_id: _, ...withoutId } = authorized.headers;
    expect(headers(authorized.type)(withoutId)).toBe(false);
  });
});
