import { PAYMENT_STATUSES } from '../app/domain/payment-balance.ts';
import type { FieldViolation } from '../app/errors.ts';
import { isUlid } from '../app/ulid.ts';
import {
  AccountEntryOrder,
  AccountType,
  type GetBalanceSnapshotRequest,
  type ListAccountEntriesRequest,
  type ListAccountsRequest,
} from '../gen/payment/v1/account.ts';
import {
  AccountRole,
  type ListPaymentActionsRequest,
  type ListPaymentsRequest,
  PaymentStatus,
} from '../gen/payment/v1/payment.ts';
import { isTime } from './time.ts';
import { accountId, currency, notNegative, rejectIf, text } from './validation.ts';

// As validation.ts, for lists and points in time. Filters that are empty were not given.

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 1_000;

/** A size that was not given or is too large is not an error, by https://google.aip.dev/158. */
export function pageSize(requested: number): number {
  return requested === 0 ? DEFAULT_PAGE_SIZE : Math.min(requested, MAX_PAGE_SIZE);
}

export function checkListAccounts(request: ListAccountsRequest): void {
  rejectIf(
    size(request.pageSize),
    request.currency === '' ? undefined : currency('currency', request.currency),
    oneOf('type', request.type, AccountType),
  );
}

export function checkListPayments(request: ListPaymentsRequest): void {
  const { accountId: id, reference, batchId, createdFrom } = request;
  rejectIf(
    size(request.pageSize),
    id === '' ? undefined : accountId('account_id', id),
    oneOf('role', request.role, AccountRole),
    id === '' && request.role !== 0 ? { field: 'role', description: 'needs an account_id' } : undefined,
    request.statuses.every(isOfPayments)
      ? undefined
      : { field: 'statuses', description: 'must be AUTHORIZED, DECLINED, HELD, CAPTURED, VOIDED or EXPIRED' },
    text('reference', reference, 0, 255),
    batchId === '' || isUlid(batchId.toUpperCase())
      ? undefined
      : { field: 'batch_id', description: 'must be a ULID, as ExecutePaymentBatch answers' },
    ...timeRange(request),
    id === '' && reference === '' && batchId === '' && createdFrom === ''
      ? { field: 'account_id', description: 'must be given, or a reference, a batch_id or created_from' }
      : undefined,
  );
}

function isOfPayments(status: PaymentStatus): boolean {
  return PAYMENT_STATUSES.some((each) => PaymentStatus[`PAYMENT_STATUS_${each}`] === status);
}

export function checkListPaymentActions(request: ListPaymentActionsRequest): void {
  rejectIf(text('payment_id', request.paymentId, 1, 64), size(request.pageSize));
}

export function checkListAccountEntries(request: ListAccountEntriesRequest): void {
  rejectIf(
    accountId('account_id', request.accountId),
    size(request.pageSize),
    oneOf('order', request.order, AccountEntryOrder),
    ...timeRange(request),
    notNegative('version_from', request.versionFrom),
    notNegative('version_before', request.versionBefore),
  );
}

export function checkGetBalanceSnapshot({ accountId: id, at, version }: GetBalanceSnapshotRequest): void {
  rejectIf(
    accountId('account_id', id),
    at === undefined ? undefined : time('at', at),
    version === undefined ? undefined : notNegative('version', version),
    at === undefined && version === undefined ? { field: 'point', description: 'must be at or version' } : undefined,
  );
}

interface TimeRange {
  readonly createdFrom: string;
  readonly createdBefore: string;
}

function timeRange({ createdFrom, createdBefore }: TimeRange): (FieldViolation | undefined)[] {
  const from = createdFrom === '' ? undefined : time('created_from', createdFrom);
  const before = createdBefore === '' ? undefined : time('created_before', createdBefore);
  // Without both, or with one that is no time, nothing is less than the other.
  const reversed = Date.parse(createdBefore) < Date.parse(createdFrom);
  if (from !== undefined || before !== undefined || !reversed) return [from, before];
  return [{ field: 'created_before', description: 'must not be before created_from' }];
}

function time(field: string, value: string): FieldViolation | undefined {
  return isTime(value)
    ? undefined
    : { field, description: 'must be a time as RFC 3339 has it, such as 2026-11-24T02:44:29.267Z' };
}

function size(requested: number): FieldViolation | undefined {
  return requested < 0 ? { field: 'page_size', description: 'must not be negative' } : undefined;
}

/** Whatever number was sent arrives here, known to the enum or not. */
function oneOf(field: string, value: number, known: Readonly<Record<string, unknown>>): FieldViolation | undefined {
  return Object.values(known).includes(value) ? undefined : { field, description: 'has no such value' };
}
