import type { PaymentBatchItem } from '../../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../../tools/client.ts';

const NO_NOTES = { description: '', reference: '', metadata: {} };

/** An account and a payment that there are, so that nothing but the field is wrong. */
interface There {
  readonly accountId: string;
  readonly otherAccountId: string;
  readonly paymentId: string;
}

type Invalid = readonly [fields: string[], rpc: string, call: (client: LedgerClient, there: There) => Promise<unknown>];

/** Requests that are wrong by themselves, and the fields that the answer must name. */
export const INVALID_REQUESTS: readonly Invalid[] = [
  [
    ['idempotency_key'],
    'AuthorizePayment',
    (client, there) => client.authorize({ ...payment(there), idempotencyKey: '' }),
  ],
  [
    ['payer_account_id'],
    'AuthorizePayment',
    (client, there) => client.authorize({ ...payment(there), payerAccountId: '' }),
  ],
  [
    ['currency', 'payee_account_id'],
    'AuthorizePayment',
    (client, there) => client.authorize({ ...payment(there), payeeAccountId: 'a'.repeat(65), currency: 'rub' }),
  ],
  [['metadata'], 'AuthorizePayment', (client, there) => client.authorize({ ...payment(there), metadata: { '': 'x' } })],
  [
    ['description', 'reference'],
    'HoldPayment',
    (client, there) => client.hold({ ...payment(there), description: 'd'.repeat(1_001), reference: 'r'.repeat(256) }),
  ],
  [['ttl'], 'HoldPayment', (client, there) => client.hold({ ...payment(there), ttl: { seconds: 0n, nanos: 0 } })],
  [
    ['ttl'],
    'HoldPayment',
    (client, there) => client.hold({ ...payment(there), ttl: { seconds: 31n * 86_400n, nanos: 1_000_000 } }),
  ],
  [['payment_id'], 'CapturePayment', (client) => client.capture('')],
  [['idempotency_key'], 'CapturePayment', (client, { paymentId }) => client.capture(paymentId, { idempotencyKey: '' })],
  [
    ['idempotency_key'],
    'VoidPayment',
    (client, { paymentId }) => client.void(paymentId, { idempotencyKey: 'k'.repeat(256) }),
  ],
  [['reference'], 'RefundPayment', (client, { paymentId }) => client.refund(paymentId, { reference: 'r'.repeat(256) })],
  [['items'], 'ExecutePaymentBatch', (client) => client.batch([])],
  [
    ['items[0].transfer.currency', 'items[1]'],
    'ExecutePaymentBatch',
    (client, there) =>
      client.batch([{ transfer: { ...payment(there), ...NO_NOTES, currency: 'rub' } }, {} as PaymentBatchItem]),
  ],
  [['payment_id'], 'GetPayment', (client) => client.getPayment({ paymentId: '', idempotencyKey: '' })],
  [
    ['idempotency_key'],
    'GetPayment',
    (client, { paymentId }) => client.getPayment({ paymentId, idempotencyKey: 'key' }),
  ],
  [['page_size'], 'ListPaymentActions', (client, { paymentId }) => client.actions(paymentId, { pageSize: -1 })],
  [['account_id'], 'ListPayments', (client) => client.listPayments({})],
  [['page_token'], 'ListPayments', (client, { accountId }) => client.listPayments({ accountId, pageToken: 'none' })],
  [
    ['created_before'],
    'ListPayments',
    (client, { accountId }) =>
      client.listPayments({ accountId, createdFrom: '2026-01-02T00:00:00Z', createdBefore: '2026-01-01T00:00:00Z' }),
  ],
  [
    ['page_token'],
    'ListAccountEntries',
    async (client, { accountId }) => {
      const { nextPageToken } = await client.entries(accountId, { pageSize: 1 });
      return client.entries(accountId, { pageToken: nextPageToken || 'none', versionFrom: 1n });
    },
  ],
  [['account_id'], 'GetAccountBalance', (client) => client.balance('')],
  [['account_id'], 'GetAccount', (client) => client.account('')],
  [['type'], 'ListAccounts', (client) => client.listAccounts({ type: 9 as never })],
  [['point'], 'GetBalanceSnapshot', (client, { accountId }) => client.snapshot(accountId, {})],
  [['version'], 'GetBalanceSnapshot', (client, { accountId }) => client.snapshot(accountId, { version: -1n })],
  [['at'], 'GetBalanceSnapshot', (client, { accountId }) => client.snapshot(accountId, { at: 'yesterday' })],
  [
    ['overdraft_limit_cents'],
    'OpenAccount',
    (client) => client.open('not-opened', { type: 2, overdraftLimitCents: 1n }),
  ],
  [['currency'], 'OpenAccount', (client) => client.open('not-opened', { currency: 'XXY' })],
  [['update_mask'], 'UpdateAccount', (client, { accountId }) => client.updateAccount(accountId, {})],
  [
    ['account.overdraft_limit_cents'],
    'UpdateAccount',
    (client, { accountId }) => client.updateAccount(accountId, { overdraftLimitCents: -1n }),
  ],
  [['reason'], 'FreezeAccount', (client, { accountId }) => client.freeze(accountId, { reason: 'r'.repeat(1_001) })],
  [['etag'], 'UnfreezeAccount', (client, { accountId }) => client.unfreeze(accountId, { etag: 'e'.repeat(65) })],
  [['account_id'], 'CloseAccount', (client) => client.closeAccount('')],
];

function payment({ accountId, otherAccountId }: There) {
  return { payerAccountId: accountId, payeeAccountId: otherAccountId, amountCents: 1n };
}
