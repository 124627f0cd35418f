import { type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccountRole, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { errorDetails } from '../support/error-details.ts';
import { allPages } from '../support/pages.ts';
import { rejection } from '../support/rejection.ts';
import { createSystem, type System } from '../support/system.ts';

type Filter = Parameters<LedgerClient['listPayments']>[0];

const AUTHORIZED = PaymentStatus.PAYMENT_STATUS_AUTHORIZED;
const DECLINED = PaymentStatus.PAYMENT_STATUS_DECLINED;
const PAYER = AccountRole.ACCOUNT_ROLE_PAYER;
const PAYEE = AccountRole.ACCOUNT_ROLE_PAYEE;

interface Made {
  readonly paymentId: string;
  readonly payer: string;
  readonly payee: string;
  readonly reference: string;
  readonly status: PaymentStatus;
  readonly at: string;
}

let system: System;
let client: LedgerClient;
/** The newest first. */
let made: Made[];

/** The first of the steps, one after the other: so ids, versions and times have one order. */
async function pay(payer: string, payee: string, amountCents: bigint, reference = ''): Promise<Made> {
  const answer = await client.authorize({ payerAccountId: payer, payeeAccountId: payee, amountCents, reference });
  await new Promise((resume) => setTimeout(resume, 2));
  return { paymentId: answer.paymentId, payer, payee, reference, status: answer.status, at: answer.processedAt };
}

beforeAll(async () => {
  system = await createSystem();
  ({ client } = await system.startApi());
  await client.openFunded('a', 1_000n);
  await client.open('b');
  await client.open('quiet');
  const inOrder: Made[] = [];
  for (let n = 0; n < 30; n++) {
    const [payer, payee] = n % 3 === 2 ? ['b', 'a'] : ['a', n % 7 === 0 ? 'nobody' : 'b'];
    const tooMuch = n % 5 === 0 ? 100_000n : 3n;
    inOrder.push(await pay(payer!, payee!, tooMuch, n % 4 === 0 ? 'order 1' : n % 4 === 1 ? 'order 2' : ''));
  }
  made = inOrder.reverse();
});
afterAll(() => system.close());

/** The ids on each page. */
async function pagesOf(filter: Filter): Promise<string[][]> {
  const pages = await allPages((pageToken) => client.listPayments({ ...filter, pageToken }));
  return pages.map(({ payments }) => payments.map(({ paymentId }) => paymentId));
}

const list = async (filter: Filter) => (await pagesOf(filter)).flat();
const expected = (wanted: (payment: Made) => boolean) => made.filter(wanted).map(({ paymentId }) => paymentId);

function fieldsOf(error: ServiceError) {
  expect(error.code).toBe(status.INVALID_ARGUMENT);
  return errorDetails(error).badRequest?.fieldViolations.map(({ field }) => field);
}

/** Since the first of the payments above, without those that opened the accounts. */
const since = () => ({ createdFrom: made.at(-1)!.at });

describe('ListPayments', () => {
  test('has authorized and declined payments as GetPayment has them', async () => {
    const { payments } = await client.listPayments({ ...since() });
    expect(new Set(payments.map((payment) => payment.status))).toEqual(new Set([AUTHORIZED, DECLINED]));
    for (const payment of payments) expect(payment).toEqual(await client.payment(payment.paymentId));
  });

  describe.each([1, 2, 7, 50])('in pages of %i', (pageSize) => {
    test.each<[string, (filter: Filter) => Filter, (payment: Made) => boolean]>([
      ['a time window', () => since(), () => true],
      ['declined in a time window', () => ({ ...since(), statuses: [DECLINED] }), (one) => one.status === DECLINED],
      ['the end of a time window', () => ({ ...since(), createdBefore: made[9]!.at }), (one) => one.at < made[9]!.at],
      ['a reference', () => ({ reference: 'order 1' }), (one) => one.reference === 'order 1'],
      [
        'a reference, a payee, authorized',
        () => ({ reference: 'order 2', accountId: 'b', role: PAYEE, statuses: [AUTHORIZED] }),
        (one) => one.reference === 'order 2' && one.payee === 'b' && one.status === AUTHORIZED,
      ],
      [
        'a reference, an account, a time',
        () => ({ reference: 'order 1', accountId: 'b', createdFrom: made[15]!.at }),
        (one) => one.reference === 'order 1' && (one.payee === 'b' || one.payer === 'b') && one.at >= made[15]!.at,
      ],
      ['an account', () => ({ accountId: 'b' }), (one) => one.payer === 'b' || one.payee === 'b'],
      ['a payer', () => ({ accountId: 'b', role: PAYER }), (one) => one.payer === 'b'],
      ['a payee', () => ({ accountId: 'b', role: PAYEE }), (one) => one.payee === 'b'],
      [
        'authorized payments of an account',
        () => ({ accountId: 'b', statuses: [AUTHORIZED, AUTHORIZED] }),
        (one) => (one.payer === 'b' || one.payee === 'b') && one.status === AUTHORIZED,
      ],
      [
        'declined payments of an account',
        () => ({ accountId: 'a', statuses: [DECLINED] }),
        (one) => one.status === DECLINED,
      ],
      [
        'an account in a time window',
        () => ({ accountId: 'b', createdFrom: made[22]!.at, createdBefore: made[4]!.at }),
        (one) => (one.payer === 'b' || one.payee === 'b') && one.at >= made[22]!.at && one.at < made[4]!.at,
      ],
      ['an account that does not exist', () => ({ accountId: 'nobody' }), (one) => one.payee === 'nobody'],
      ['an account that nobody paid', () => ({ accountId: 'quiet' }), () => false],
      ['a reference that nobody gave', () => ({ reference: 'order 9' }), () => false],
      ['a time to come', () => ({ createdFrom: '2100-01-01T00:00:00Z' }), () => false],
    ])('%s', async (_case, filter, wanted) => {
      const pages = await pagesOf({ ...filter({}), pageSize });
      expect(pages.flat()).toEqual(expected(wanted));
      // Full but for the last one.
      expect(pages.slice(0, -1).every((page) => page.length === pageSize)).toBe(true);
    });
  });

  test('payments that are made between two pages are on none of them', async () => {
    await client.openFunded('busy', 100n);
    const busy = { payer: 'busy', payee: 'quiet' };
    const before: string[] = [];
    for (let n = 0; n < 7; n++)
      before.unshift((await pay(busy.payer, busy.payee, n % 2 === 0 ? 1n : 1_000n, 'busy')).paymentId);
    for (const filter of [{ accountId: 'quiet' }, { reference: 'busy' }, { accountId: 'busy', role: PAYER }]) {
      const pages = await allPages(
        (pageToken) => client.listPayments({ ...filter, pageSize: 2, pageToken }),
        async () => {
          before.unshift((await pay(busy.payer, busy.payee, 1n, 'busy')).paymentId);
          before.unshift((await pay(busy.payer, busy.payee, 1_000n, 'busy')).paymentId);
        },
      );
      const listed = pages.flatMap(({ payments }) => payments.map(({ paymentId }) => paymentId));
      expect(listed).toEqual(before.slice(before.length - listed.length));
      // Three pages of two and one of one, and more where two were made after each.
      expect(before.length).toBe(listed.length + 2 * (pages.length - 1));
    }
  });

  test('payments at one time are all there, once each', async () => {
    await client.openFunded('crowd', 100n);
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) =>
        client.authorize({ payerAccountId: 'crowd', payeeAccountId: 'b', amountCents: n % 3 === 0 ? 1_000n : 1n }),
      ),
    );
    const ids = answers.map(({ paymentId }) => paymentId).sort();
    const paid = (await list({ accountId: 'crowd', role: PAYER, pageSize: 9 })).sort();
    expect(paid).toEqual(ids);
    expect((await list({ accountId: 'crowd', pageSize: 9 })).length).toBe(201);
  });

  test('a page looks at a limited number of entries: it may be short and still not the last', async () => {
    await client.openFunded('rare', 100n);
    const own = (await pay('rare', 'b', 1n)).paymentId;
    const declined = (await pay('rare', 'b', 1_000n)).paymentId;
    await client.openFunded('rare', 1n);
    const deposit = () => client.authorize({ payerAccountId: 'external-RUB', payeeAccountId: 'rare', amountCents: 1n });
    for (let n = 0; n < 2_500; n += 250) await Promise.all(Array.from({ length: 250 }, deposit));
    const pages = await pagesOf({ accountId: 'rare', role: PAYER });
    expect(pages.flat()).toEqual([declined, own]);
    expect(pages.length).toBeGreaterThan(1);
  });

  test.each<[string, Filter]>([
    ['account_id', {}],
    ['account_id', { createdBefore: '2026-02-03T00:00:00Z' }],
    ['account_id', { accountId: 'a'.repeat(65) }],
    ['role', { reference: 'order 1', role: PAYER }],
    ['role', { accountId: 'a', role: 3 as AccountRole }],
    ['statuses', { accountId: 'a', statuses: [PaymentStatus.PAYMENT_STATUS_DUPLICATE] }],
    ['statuses', { accountId: 'a', statuses: [PaymentStatus.PAYMENT_STATUS_UNSPECIFIED] }],
    ['reference', { reference: 'r'.repeat(256) }],
    ['created_from', { createdFrom: '2026-13-01T00:00:00Z' }],
    ['created_before', { accountId: 'a', createdBefore: 'later' }],
    ['page_size', { accountId: 'a', pageSize: -5 }],
    ['page_token', { accountId: 'a', pageToken: 'x' }],
  ])('a bad %s is named: %o', async (field, filter) => {
    expect(fieldsOf(await rejection(client.listPayments(filter)))).toEqual([field]);
  });

  test('a token goes on with its filters, however they are written, and with no others', async () => {
    const every = [7, 6, 5, 4, DECLINED, AUTHORIZED, DECLINED] as PaymentStatus[];
    const { nextPageToken: pageToken } = await client.listPayments({ accountId: 'a', statuses: every, pageSize: 2 });
    const next = await client.listPayments({ accountId: 'a', pageSize: 2, pageToken });
    expect(next.payments.map(({ paymentId }) => paymentId)).toEqual((await list({ accountId: 'a' })).slice(2, 4));
    const others = [
      { accountId: 'b' },
      { accountId: 'a', role: PAYER },
      { accountId: 'a', statuses: [DECLINED] },
      { accountId: 'a', reference: 'order 1' },
      { accountId: 'a', createdFrom: '2026-02-03T00:00:00Z' },
      { accountId: 'a', createdBefore: '2100-02-03T00:00:00Z' },
    ];
    for (const other of others) {
      expect(fieldsOf(await rejection(client.listPayments({ ...other, pageToken })))).toEqual(['page_token']);
    }
  });
});
