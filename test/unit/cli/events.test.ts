import { describe, expect, test } from 'vitest';
import { decode, eventLine, matches } from '../../../src/cli/events.ts';

const ID = '01M85Q3TTE820EZ9PCVSPH2JRN';

function record(value: string, headers: Record<string, string> = {}) {
  const sentAt = new Date('2026-11-24T02:45:45Z');
  return decode({ partition: 3, offset: 17n, sentAt, key: 'acc-1', headers, value });
}

function event(type: string, data: object, more: Record<string, string> = {}) {
  const headers = { ce_id: ID, ce_type: type, ce_source: '/l', ce_time: '2026-11-24T02:45:44.910Z', ...more };
  return record(JSON.stringify(data), headers);
}

const payment = {
  paymentId: ID,
  payerAccountId: 'acc-1',
  payeeAccountId: 'acc-2',
  amountCents: '100',
  currency: 'RUB',
};
const authorized = event('payment.authorized.v1', {
  ...payment,
  payer: { version: '2' },
  payee: { balanceCents: '100', version: '1' },
});
const declined = event(
  'payment.declined.v1',
  { ...payment, error: { code: 'PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS', message: 'no' } },
  { ce_replayed: 'true' },
);

describe('an event is one line', () => {
  test.each([
    [
      authorized,
      `payment.authorized.v1  ${ID}  acc-1 -> acc-2 100 RUB  balances 0 at 2, 100 at 1  (partition 3, offset 17)`,
    ],
    [
      declined,
      `payment.declined.v1  ${ID}  acc-1 -> acc-2 100 RUB  INSUFFICIENT_FUNDS  (partition 3, offset 17, replayed)`,
    ],
    [
      event('payment.refunded.v1', { ...payment, actionId: '01M85Q3TTE820EZ9PCVSPH2JRP' }),
      `payment.refunded.v1  ${ID}  acc-2 -> acc-1 100 RUB  of ${ID}  (partition 3, offset 17)`,
    ],
    [
      event('account.frozen.v1', {
        accountId: 'a',
        revision: '2',
        currency: 'RUB',
        overdraftLimitCents: '50',
        state: 'STATE_FROZEN',
        reason: 'lost card',
      }),
      `account.frozen.v1  ${ID}  a at 2: FROZEN, overdraft limit 50 RUB  lost card  (partition 3, offset 17)`,
    ],
    [
      event('payment.later.v1', { accountId: 'a' }),
      `payment.later.v1  ${ID}  {"accountId":"a"}  (partition 3, offset 17)`,
    ],
  ])('%#', (given, line) => {
    expect(eventLine(given)).toBe(`2026-11-24T02:45:44.910Z  ${line}`);
  });

  test('and so is a record that is none, whatever is in it', () => {
    for (const value of ['\u001b[2J', '7', 'null', '']) {
      const line = eventLine(record(value));
      expect(line).toBe(
        '2026-11-24T02:45:45.000Z  no event  -  key acc-1, whose value is no JSON object  (partition 3, offset 17)',
      );
    }
    expect(record('\u001b', { ce_type: '\u001b' }).data).toBeNull();
    expect(eventLine(record('{"a":"\u009b"}', { ce_type: '\u001b' }))).not.toMatch(/\p{Cc}/u);
  });
});

test.each([
  [{}, true, true],
  [{ account: 'acc-1' }, true, true],
  [{ account: 'acc-2' }, true, true],
  [{ account: 'acc-3' }, false, false],
  [{ payment: ID }, true, true],
  [{ payment: '01M85Q3TTE820EZ9PCVSPH2JRP' }, false, false],
  [{ type: 'declined' }, false, true],
  [{ type: 'authorized', account: 'acc-2' }, true, false],
])('the filter %o', (filter, first, second) => {
  expect([matches(authorized, filter), matches(declined, filter)]).toEqual([first, second]);
});
