import {
  type AccountEntry,
  AccountEntryOrder,
  type GetBalanceSnapshotRequest,
  type GetBalanceSnapshotResponse,
  type ListAccountEntriesRequest,
} from '../../../src/gen/payment/v1/account.ts';
import {
  AccountRole,
  type GetAccountBalanceResponse,
  type GetPaymentRequest,
  type GetPaymentResponse,
  type ListPaymentsRequest,
  type PaymentAction,
  type Payment as PaymentMessage,
} from '../../../src/gen/payment/v1/payment.ts';
import { availableOf, type Books, messageOf, noSuch, type Outcome, type Payment, statusOf } from './books.ts';

// What the service must answer when it is asked for what there is. Lists are whole, without pages.

export function getPayment(
  books: Books,
  { paymentId, idempotencyKey }: GetPaymentRequest,
): Outcome<GetPaymentResponse> {
  const used = books.keys.get(idempotencyKey);
  const payment = idempotencyKey === '' ? books.payments.get(paymentId) : used?.payment;
  if (payment === undefined) return noSuch();
  return { answer: { payment: messageOf(payment), batchId: used?.batch?.batchId ?? '' } };
}

export function listPaymentActions(books: Books, paymentId: string): Outcome<PaymentAction[]> {
  const payment = books.payments.get(paymentId);
  if (payment === undefined) return noSuch();
  return { answer: [...payment.actions].sort(byId) };
}

const byId = (one: PaymentAction, other: PaymentAction) => (one.actionId < other.actionId ? -1 : 1);

export function listPayments(books: Books, request: ListPaymentsRequest): Outcome<PaymentMessage[]> {
  const { accountId, role, statuses, reference, batchId, createdFrom, createdBefore } = request;
  const wanted = (payment: Payment) =>
    (accountId === '' || accountsInRole(payment, role).includes(accountId)) &&
    (statuses.length === 0 || statuses.includes(statusOf(payment))) &&
    (reference === '' || payment.notes.reference === reference) &&
    (batchId === '' || payment.actions.some((action) => action.batchId === batchId)) &&
    payment.createdAt >= createdFrom &&
    (createdBefore === '' || payment.createdAt < createdBefore);
  return { answer: [...books.payments.values()].filter(wanted).reverse().map(messageOf) };
}

function accountsInRole({ payerAccountId, payeeAccountId }: Payment, role: AccountRole): string[] {
  if (role === AccountRole.ACCOUNT_ROLE_PAYER) return [payerAccountId];
  if (role === AccountRole.ACCOUNT_ROLE_PAYEE) return [payeeAccountId];
  return [payerAccountId, payeeAccountId];
}

export function getAccountBalance(books: Books, accountId: string): Outcome<GetAccountBalanceResponse> {
  const account = books.accounts.get(accountId);
  if (account === undefined) return noSuch();
  const { currency, postedCents, pendingCents, incomingCents, entries } = account;
  return {
    answer: {
      accountId,
      availableBalanceCents: availableOf(account),
      pendingBalanceCents: pendingCents,
      currency,
      postedBalanceCents: postedCents,
      incomingPendingCents: incomingCents,
      version: BigInt(entries.length),
    },
  };
}

export function listAccountEntries(books: Books, request: ListAccountEntriesRequest): Outcome<AccountEntry[]> {
  const { accountId, order, createdFrom, createdBefore, versionFrom, versionBefore } = request;
  const account = books.accounts.get(accountId);
  if (account === undefined) return noSuch();
  const answer = account.entries.filter(
    ({ version, createdAt }) =>
      version >= versionFrom &&
      (versionBefore === 0n || version < versionBefore) &&
      createdAt >= createdFrom &&
      (createdBefore === '' || createdAt < createdBefore),
  );
  return { answer: order === AccountEntryOrder.ACCOUNT_ENTRY_ORDER_OLDEST_FIRST ? answer : answer.reverse() };
}

export function getBalanceSnapshot(
  books: Books,
  { accountId, at, version }: GetBalanceSnapshotRequest,
): Outcome<GetBalanceSnapshotResponse> {
  const account = books.accounts.get(accountId);
  if (account === undefined) return noSuch();
  const { entries, currency } = account;
  const last =
    version === undefined
      ? entries.findLast(({ createdAt }) => createdAt <= at!)
      : entries.find((entry) => entry.version === version);
  if (last === undefined && version !== undefined && version !== 0n) return noSuch();
  const { postedAfterCents = 0n, pendingAfterCents = 0n } = last ?? {};
  return {
    answer: {
      accountId,
      availableBalanceCents: postedAfterCents - pendingAfterCents,
      pendingBalanceCents: pendingAfterCents,
      currency,
      postedBalanceCents: postedAfterCents,
      version: last?.version ?? 0n,
      lastEntryAt: last?.createdAt ?? '',
    },
  };
}
