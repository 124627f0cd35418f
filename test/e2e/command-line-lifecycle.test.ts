import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runLedgerHere } from '../support/command-line.ts';
import { createSystem, type System } from '../support/system.ts';

// What the command line does with payments that are held, and with accounts.

// Of many calls, on a busy machine.
const LIMIT_MS = 300_000;

/** No payment has it. */
const NO_ID = '01M85Q3TTE820EZ9PCVSPH2JRN';

let system: System;
let address: string;

const call = (...args: string[]) => runLedgerHere(args, { LEDGER_ADDRESS: address, LEDGER_DEADLINE_MS: '120000' });

beforeAll(async () => {
  system = await createSystem();
  const api = await system.startApi();
  address = api.address;
  await api.client.openFunded('acc-a', 10_000n);
  await api.client.open('acc-b');
}, LIMIT_MS);
afterAll(() => system?.close());

const hold = (amountCents: string, ...args: string[]) =>
  call('hold', '--payer', 'acc-a', '--payee', 'acc-b', '--amount-cents', amountCents, '--currency', 'RUB', ...args);

async function answerOf(ended: ReturnType<typeof call>) {
  const { code, stdout, stderr } = await ended;
  expect(stderr).toBe('');
  return { code, ...JSON.parse(stdout) };
}

describe('a hold', { timeout: LIMIT_MS }, () => {
  test('is captured in part, refunded and voided, and each action is listed', async () => {
    const key = randomUUID();
    const held = await answerOf(hold('100', '--key', key, '--ttl-seconds', '3600', '--metadata', 'a=1', '--json'));
    const { paymentId } = held.payment;
    expect(held).toMatchObject({
      code: 0,
      idempotencyKey: key,
      replayed: false,
      action: { actionId: paymentId, type: 'HOLD', amountCents: '100', releasedCents: '0', error: null },
      payment: { status: 'HELD', heldCents: '100', metadata: { a: '1' } },
    });
    expect(Date.parse(held.payment.expiresAt) - Date.parse(held.payment.createdAt)).toBe(3_600_000);

    const captured = await call('capture', paymentId, '--amount-cents', '30', '--keep-remainder', '--key', 'bill');
    expect(captured).toMatchObject({ code: 0, stderr: '' });
    expect(captured.stdout).toMatch(/^outcome +CAPTURE done\n[\s\S]*^held \(cents\) +70\ncaptured \(cents\) +30\n/m);
    const again = await call('capture', paymentId, '--amount-cents', '30', '--keep-remainder', '--key', 'bill');
    expect(again.code).toBe(0);
    expect(again.stdout).toContain('CAPTURE done by an earlier call with this key');

    const refunded = await answerOf(call('refund', paymentId, '--amount-cents', '10', '--json'));
    expect(refunded).toMatchObject({ code: 0, action: { type: 'REFUND' }, payment: { refundedCents: '10' } });
    const voided = await answerOf(call('void', paymentId.toLowerCase(), '--description', 'gone', '--json'));
    expect(voided).toMatchObject({
      code: 0,
      action: { type: 'VOID', releasedCents: '70', description: 'gone' },
      payment: { status: 'CAPTURED', heldCents: '0' },
    });

    const actions = await answerOf(call('payment', 'actions', paymentId, '--json'));
    const { code: _, payment: __, idempotencyKey: ___, replayed: ____, ...rest } = voided;
    expect(actions).toMatchObject({ code: 0, paymentId, more: false });
    expect(actions.actions).toHaveLength(4);
    expect(actions.actions[3]).toEqual(rest.action);
    const table = await call('payment', 'actions', paymentId, '--limit', '3');
    expect(table.stderr).toContain('--all');
    const [titles, first, second] = table.stdout.split('\n');
    expect(titles).toMatch(/^TIME +TYPE +AMOUNT \(CENTS\) +RELEASED \(CENTS\) +DECLINED +ACTION$/);
    expect(first).toMatch(new RegExp(`Z  HOLD +100 +0  - +${paymentId}$`));
    expect(second).toMatch(/Z {2}CAPTURE +30 +0 {2}- +\S{26}$/);
  });

  test('without an amount is captured and refunded as a whole', async () => {
    const { payment } = await answerOf(hold('20', '--json'));
    expect(await answerOf(call('capture', payment.paymentId, '--json'))).toMatchObject({
      action: { amountCents: '20' },
    });
    expect(await answerOf(call('refund', payment.paymentId, '--json'))).toMatchObject({
      payment: { refundedCents: '20' },
    });
  });

  test('and what is done with it end with 4 if they are declined, and so do their duplicates', async () => {
    const poor = await hold('1000000');
    expect(poor.code).toBe(4);
    expect(poor.stdout).toMatch(/^outcome +HOLD declined\ndeclined +INSUFFICIENT_FUNDS: /);
    const { payment } = await answerOf(hold('10', '--json'));
    const capture = ['capture', payment.paymentId, '--amount-cents', '11', '--key', randomUUID(), '--json'];
    for (const replayed of [false, true]) {
      expect(await answerOf(call(...capture))).toMatchObject({
        code: 4,
        replayed,
        action: { actionId: expect.any(String), error: { code: 'AMOUNT_EXCEEDS_HELD', retryAfterMs: '0' } },
        payment: { status: 'HELD', heldCents: '10' },
      });
    }
    const zero = await call('capture', payment.paymentId, '--amount-cents', '0');
    expect(zero.code).toBe(4);
    expect(zero.stdout).toMatch(/^action +none was stored: the key may be used again$/m);
    expect((await call('refund', payment.paymentId)).code).toBe(4);
    const listed = await call('payment', 'actions', payment.paymentId);
    expect(listed.stdout).toMatch(/CAPTURE +11 +0 {2}AMOUNT_EXCEEDS_HELD /);
  });

  test('that there is not ends with 3, a key of another call with 7, no answer with 5', async () => {
    for (const args of [['capture'], ['void'], ['refund'], ['payment', 'actions']]) {
      expect(await call(...args, NO_ID)).toMatchObject({ code: 3, stdout: '' });
    }
    const { payment, idempotencyKey } = await answerOf(hold('10', '--json'));
    const taken = await call('void', payment.paymentId, '--key', idempotencyKey);
    expect(taken.code).toBe(7);
    expect(taken.stderr).toContain('IDEMPOTENCY_KEY_REUSED');
    const lost = await call('void', payment.paymentId, '--key', 'lost', '--address', '127.0.0.1:1');
    expect(lost.code).toBe(5);
    expect(lost.stderr).toContain('--key lost finds out');
  });

  test('shows in balances and statements', async () => {
    expect((await call('accounts', 'open', 'acc-h', '--currency', 'RUB')).code).toBe(0);
    const before = JSON.parse((await call('balance', 'acc-a', '--json')).stdout);
    const args = ['--payer', 'acc-a', '--payee', 'acc-h', '--amount-cents', '7', '--currency', 'RUB'];
    expect((await call('hold', ...args)).code).toBe(0);
    const after = JSON.parse((await call('balance', 'acc-a', '--json')).stdout);
    expect(after).toEqual({
      ...before,
      availableBalanceCents: String(BigInt(before.availableBalanceCents) - 7n),
      pendingBalanceCents: String(BigInt(before.pendingBalanceCents) + 7n),
      version: String(BigInt(before.version) + 1n),
    });
    expect((await call('balance', 'acc-h')).stdout).toMatch(/^incoming \(cents\) +7$/m);
    const [, newest] = (await call('statement', 'acc-a', '--limit', '1')).stdout.split('\n');
    expect(newest).toMatch(new RegExp(`HOLD +7 +${after.postedBalanceCents} +${after.pendingBalanceCents}  acc-h`));
  });
});

describe('an account', { timeout: LIMIT_MS }, () => {
  const changed = (...args: string[]) => answerOf(call('accounts', ...args, '--json'));

  test('is updated, frozen, unfrozen and closed', async () => {
    const opened = await changed('open', 'acc-1', '--currency', 'RUB');
    const update = [
      'update',
      'acc-1',
      '--overdraft-limit-cents',
      '500',
      '--metadata',
      'tier=gold',
      '--etag',
      opened.etag,
    ];
    const updated = await changed(...update);
    expect(updated).toMatchObject({ code: 0, overdraftLimitCents: '500', metadata: { tier: 'gold' } });
    expect(await changed('update', 'acc-1', '--clear-metadata')).toMatchObject({
      overdraftLimitCents: '500',
      metadata: {},
    });
    expect(await changed('freeze', 'acc-1', '--debits')).toMatchObject({ debitsFrozen: true, creditsFrozen: false });
    expect(await changed('freeze', 'acc-1')).toMatchObject({ debitsFrozen: true, creditsFrozen: true });
    expect(await changed('unfreeze', 'acc-1', '--credits')).toMatchObject({ debitsFrozen: true, creditsFrozen: false });
    const free = await call('accounts', 'unfreeze', 'acc-1');
    expect(free.stdout).toMatch(/^state +ACTIVE$/m);
    const closed = await changed('close', 'acc-1', '--reason', 'asked for');
    expect(closed.state).toBe('CLOSED');
    const rows = await system.database.query<{ reason: string }>(
      `select reason from account_changes where account_id = 'acc-1' order by revision desc limit 1`,
    );
    expect(rows).toEqual([{ reason: 'asked for' }]);
  });

  test('that may not be changed ends with 8, one that there is not with 3', async () => {
    const full = await call('accounts', 'close', 'acc-a');
    expect(full.code).toBe(8);
    expect(full.stderr).toContain('FAILED_PRECONDITION ACCOUNT_NOT_EMPTY');
    const stale = await call('accounts', 'freeze', 'acc-a', '--etag', 'stale');
    expect(stale.code).toBe(8);
    expect(stale.stderr).toMatch(/ABORTED ETAG_MISMATCH[\s\S]*ledger accounts show/);
    for (const command of ['freeze', 'unfreeze', 'close']) {
      expect(await call('accounts', command, 'none')).toMatchObject({ code: 3, stdout: '' });
    }
  });
});
