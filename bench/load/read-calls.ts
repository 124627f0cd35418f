import {
  AccountEntryOrder,
  GetBalanceSnapshotRequest,
  ListAccountEntriesRequest,
} from '../../src/gen/payment/v1/account.ts';
import { GetAccountBalanceRequest, GetPaymentRequest } from '../../src/gen/payment/v1/payment.ts';
import { accountName } from './accounts.ts';
import type { CallSource } from './calls.ts';
import type { Calls } from './job.ts';
import { entriesOutcome } from './outcomes.ts';
import type { Random } from './random.ts';

type Reads = Extract<Calls, { readonly kind: 'balance' | 'payment' | 'statement' | 'snapshot' }>;

export function readSource(calls: Reads, uniform: Random): CallSource {
  switch (calls.kind) {
    case 'balance':
      return read('PaymentService/GetAccountBalance', calls.accounts, uniform, (n) =>
        GetAccountBalanceRequest.encode({ accountId: accountName(n) }).finish(),
      );
    case 'payment':
      return read('PaymentService/GetPayment', calls.paymentIds.length, uniform, (n) =>
        GetPaymentRequest.encode({ paymentId: calls.paymentIds[n]!, idempotencyKey: '' }).finish(),
      );
    case 'statement':
      return statement(calls.accounts, calls.lastVersion, uniform);
    case 'snapshot':
      return snapshot(calls.accounts, calls.fromMs, calls.toMs, uniform);
  }
}

const PAGE_SIZE = 100;

function statement(accounts: number, lastVersion: number, uniform: Random): CallSource {
  const source = read('AccountService/ListAccountEntries', accounts, uniform, (n) =>
    ListAccountEntriesRequest.encode({
      accountId: accountName(n),
      pageSize: PAGE_SIZE,
      pageToken: '',
      order: AccountEntryOrder.ACCOUNT_ENTRY_ORDER_NEWEST_FIRST,
      createdFrom: '',
      createdBefore: '',
      versionFrom: 0n,
      // The versions from 1 to the one before this fill a page.
      versionBefore: BigInt(PAGE_SIZE + 1 + uniform(Math.max(lastVersion - PAGE_SIZE + 1, 1))),
    }).finish(),
  );
  return { ...source, outcome: entriesOutcome };
}

function snapshot(accounts: number, fromMs: number, toMs: number, uniform: Random): CallSource {
  return read('AccountService/GetBalanceSnapshot', accounts, uniform, (n) =>
    GetBalanceSnapshotRequest.encode({
      accountId: accountName(n),
      at: new Date(fromMs + uniform(toMs - fromMs)).toISOString(),
      version: undefined,
    }).finish(),
  );
}

/** Reads of any of so many things, with requests made beforehand. */
function read(method: string, count: number, uniform: Random, encode: (n: number) => Uint8Array): CallSource {
  const messages = Array.from({ length: count }, (_, n) => encode(n));
  return {
    path: `/payment.v1.${method}`,
    next: () => messages[uniform(count)]!,
    outcome: (reply) => (reply.length > 0 ? 'OK' : 'EMPTY'),
  };
}
