import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runLedger, runLedgerHere } from '../support/command-line.ts';
import { createSystem, type System } from '../support/system.ts';

// What ledger batch does with its file.

// Of many calls, on a busy machine.
const LIMIT_MS = 300_000;

/** No payment has it. */
const NO_ID = '01M85Q3TTE820EZ9PCVSPH2JRN';

let system: System;
let folder: string;
let env: Record<string, string>;

beforeAll(async () => {
  system = await createSystem();
  const api = await system.startApi();
  env = { LEDGER_ADDRESS: api.address, LEDGER_DEADLINE_MS: '120000' };
  folder = await mkdtemp(join(tmpdir(), 'ledger-batch-'));
  await api.client.openFunded('acc-a', 10_000n);
  await api.client.open('acc-b');
}, LIMIT_MS);
afterAll(async () => {
  if (folder !== undefined) await rm(folder, { recursive: true });
  await system?.close();
});

const call = (...args: string[]) => runLedgerHere(args, env);

/** Runs the command on a file with this batch, or this text. */
async function batch(content: object | string, ...args: string[]) {
  const file = join(folder, `${randomUUID()}.json`);
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  return call('batch', file, ...args);
}

async function answerOf(ended: ReturnType<typeof call>) {
  const { code, stdout, stderr } = await ended;
  expect(stderr).toBe('');
  return { code, ...JSON.parse(stdout) };
}

const accounts = { payer_account_id: 'acc-a', payee_account_id: 'acc-b', currency: 'RUB' };
const transfer = (amount_cents: number | string) => ({ transfer: { ...accounts, amount_cents } });
const posted = async () => JSON.parse((await call('balance', 'acc-a', '--json')).stdout).postedBalanceCents;

describe('a batch', { timeout: LIMIT_MS }, () => {
  test('of each kind, in either spelling of the fields, is done as one', async () => {
    const first = await answerOf(
      batch({ items: [{ hold: { ...accounts, amount_cents: 40 } }, transfer(50)] }, '--json'),
    );
    const [held, paid] = first.payments.map(({ paymentId }: { paymentId: string }) => paymentId);
    const items = [
      { transfer: { payerAccountId: 'acc-a', payeeAccountId: 'acc-b', currency: 'RUB', amountCents: '7' } },
      { hold: { ...accounts, amount_cents: '8', ttl: '90.5s', metadata: { room: '7' }, reference: 'night' } },
      { capture: { payment_id: held, amount_cents: 30, keep_remainder: true } },
      { void: { payment_id: held, description: 'gone' } },
      { refund: { payment_id: paid } },
    ];
    const done = await answerOf(batch({ idempotency_key: 'each-kind', items }, '--json'));
    expect(done).toMatchObject({
      code: 0,
      idempotencyKey: 'each-kind',
      replayed: false,
      batchId: done.actions[0].actionId,
      error: null,
      declinedItem: null,
      actions: [
        { type: 'PAYMENT', amountCents: '7' },
        { type: 'HOLD', amountCents: '8', reference: 'night', metadata: { room: '7' } },
        { type: 'CAPTURE', amountCents: '30', releasedCents: '0' },
        { type: 'VOID', releasedCents: '10', description: 'gone' },
        { type: 'REFUND', amountCents: '50' },
      ],
      payments: [
        { status: 'AUTHORIZED' },
        { status: 'HELD', heldCents: '8' },
        { paymentId: held, capturedCents: '30', releasedCents: '10' },
        { paymentId: held },
        { paymentId: paid, refundedCents: '50' },
      ],
    });
    const { createdAt, expiresAt } = done.payments[1];
    expect(Date.parse(expiresAt) - Date.parse(createdAt)).toBe(90_500);

    const again = await batch({ items }, '--key', 'each-kind');
    expect(again).toMatchObject({ code: 0, stderr: '' });
    const [outcome, id] = again.stdout.split('\n');
    expect(outcome).toBe('outcome  BATCH done by an earlier call with this key');
    expect(id).toBe(`batch    ${done.batchId}`);
    expect(again.stdout).toMatch(/^ITEM +TYPE +AMOUNT \(CENTS\) +RELEASED \(CENTS\) +ACTION +PAYMENT +STATUS$/m);
    expect(again.stdout).toMatch(new RegExp(`^ +2  CAPTURE +30 +0  \\S{26}  ${held}  CAPTURED$`, 'm'));
  });

  test('comes from stdin too', async () => {
    const { code, stdout } = await runLedger(['batch', '-', '--json'], env, JSON.stringify({ items: [transfer(1)] }));
    expect(code).toBe(0);
    expect(JSON.parse(stdout).actions).toMatchObject([{ type: 'PAYMENT', amountCents: '1' }]);
  });

  test('with an item that is declined ends with 4, does nothing, and so again', async () => {
    const before = await posted();
    const content = { idempotency_key: randomUUID(), items: [transfer(1), transfer(1_000_000)] };
    for (const replayed of [false, true]) {
      expect(await answerOf(batch(content, '--json'))).toMatchObject({
        code: 4,
        replayed,
        batchId: expect.any(String),
        error: { code: 'INSUFFICIENT_FUNDS', retryAfterMs: '0' },
        declinedItem: 1,
        actions: [],
        payments: [],
      });
    }
    expect((await batch(content)).stdout).toMatch(
      /^outcome +BATCH declined by an earlier call with this key\ndeclined +items\[1\]: INSUFFICIENT_FUNDS: /,
    );
    const zero = await batch({ items: [transfer(0)] });
    expect(zero.code).toBe(4);
    expect(zero.stdout).toMatch(/^batch +none was stored: the key may be used again$/m);
    expect(await posted()).toBe(before);
  });

  test('ends with 7 if its key is taken, with 3 without a payment of its, with 2 without items, with 5 unanswered', async () => {
    const content = { idempotency_key: randomUUID(), items: [transfer(1)] };
    expect((await batch(content)).code).toBe(0);
    const taken = await batch({ ...content, items: [transfer(2)] });
    expect(taken.code).toBe(7);
    expect(taken.stderr).toContain('IDEMPOTENCY_KEY_REUSED');
    const none = await batch({ items: [transfer(1), { void: { payment_id: NO_ID } }] });
    expect(none).toMatchObject({ code: 3, stdout: '' });
    expect(none.stderr).toContain('items[1].void');
    expect(await batch({ items: [] })).toMatchObject({ code: 2, stdout: '' });
    const lost = await batch(content, '--address', '127.0.0.1:1');
    expect(lost.code).toBe(5);
    expect(lost.stderr).toContain(`--key ${content.idempotency_key} finds out`);
  });
});

describe('a file is not sent', { timeout: LIMIT_MS }, () => {
  const capture = (fields: object) => ({ items: [transfer(1), { capture: { payment_id: NO_ID, ...fields } }] });

  test.each<[object | string, string]>([
    ['{', 'It is not JSON'],
    [[], 'It is an object.'],
    [{ item: [] }, 'item: There is no such field.'],
    [{ items: {} }, 'items: It is a list.'],
    [{ items: [{}] }, 'items[0]: It is one of transfer, hold, capture, void, refund.'],
    [{ items: [{ ...transfer(1), void: { payment_id: NO_ID } }] }, 'items[0]: It is one of'],
    [{ items: [{ pay: {} }] }, 'items[0].pay: There is no such field.'],
    [capture({ amount_cent: 1 }), 'items[1].capture.amount_cent: There is no such field.'],
    [capture({ amount_cents: 1, amountCents: 1 }), 'items[1].capture.amountCents: It is there twice.'],
    [capture({ amount_cents: null }), 'items[1].capture.amount_cents: It is a whole number'],
    [capture({ amount_cents: 1.5 }), 'items[1].capture.amount_cents: It is a whole number'],
    [capture({ amount_cents: 2 ** 53 }), 'items[1].capture.amount_cents: It is a whole number'],
    [capture({ amount_cents: '9223372036854775808' }), 'items[1].capture.amount_cents: It is a number of 64 bits.'],
    [capture({ keep_remainder: 'true' }), 'items[1].capture.keep_remainder: It is true or false.'],
    [capture({ reference: 17 }), 'items[1].capture.reference: It is a string.'],
    [capture({ metadata: { nights: 1 } }), 'items[1].capture.metadata["nights"]: It is a string.'],
    [{ items: [{ hold: { ttl: 60 } }] }, 'items[0].hold.ttl: It is seconds'],
  ])('%j', async (content, problem) => {
    const ended = await batch(content);
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toContain(problem);
  });

  test('that is not there, or has another key than --key', async () => {
    const missing = await call('batch', join(folder, 'none.json'));
    expect(missing.code).toBe(2);
    expect(missing.stderr).toContain('none.json cannot be read');
    const two = await batch({ idempotency_key: 'a', items: [transfer(1)] }, '--key', 'b');
    expect(two.code).toBe(2);
    expect(two.stderr).toContain('--key is not the idempotency_key of the file');
  });
});
