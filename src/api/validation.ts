import type { Metadata } from '../app/domain/payment.ts';
import { type FieldViolation, ServiceError } from '../app/errors.ts';
import { AccountType, type GetAccountRequest, type OpenAccountRequest } from '../gen/payment/v1/account.ts';
import type {
  AuthorizePaymentRequest,
  GetAccountBalanceRequest,
  GetPaymentRequest,
} from '../gen/payment/v1/payment.ts';
import { CURRENCIES } from './currencies.ts';
import { PROTOTYPE_KEY } from './wire.ts';

// Every check of a request by itself. What needs the books is decided in app/domain.
// Each function throws one ServiceError INVALID_REQUEST that names every bad field.

/** The amount is not among them: one that is not positive is a decline, see precheck(). */
export function checkAuthorizePayment(request: AuthorizePaymentRequest): void {
  rejectIf(...paymentViolations(request));
}

/** What is wrong with the fields that every request for a payment has. */
export function paymentViolations(request: AuthorizePaymentRequest): (FieldViolation | undefined)[] {
  return [
    text('idempotency_key', request.idempotencyKey, 1, 255),
    accountId('payer_account_id', request.payerAccountId),
    accountId('payee_account_id', request.payeeAccountId),
    currency('currency', request.currency),
    ...noteViolations(request),
  ];
}

/** What is wrong with what callers may note on every payment and every action on one. */
export function noteViolations({
  description,
  reference,
  metadata: notes,
}: Pick<AuthorizePaymentRequest, 'description' | 'reference' | 'metadata'>): (FieldViolation | undefined)[] {
  return [
    text('description', description, 0, 1_000),
    text('reference', reference, 0, 255),
    metadata('metadata', notes),
  ];
}

/** Whether the id is a ULID is left to the look-up: what is none names no payment, which is NOT_FOUND. */
export function checkGetPayment({ paymentId, idempotencyKey }: GetPaymentRequest): void {
  if (idempotencyKey === '') rejectIf(text('payment_id', paymentId, 1, 64));
  else if (paymentId === '') rejectIf(text('idempotency_key', idempotencyKey, 1, 255));
  else rejectIf({ field: 'idempotency_key', description: 'must not be given together with payment_id' });
}

export function checkGetAccount(request: GetAccountRequest): void {
  rejectIf(accountId('account_id', request.accountId));
}

export function checkGetAccountBalance(request: GetAccountBalanceRequest): void {
  rejectIf(accountId('account_id', request.accountId));
}

export function checkOpenAccount(request: OpenAccountRequest): void {
  rejectIf(
    accountId('account_id', request.accountId),
    currency('currency', request.currency),
    accountType('type', request.type),
    overdraft('overdraft_limit_cents', request.overdraftLimitCents, request.type),
  );
}

export function rejectIf(...found: readonly (FieldViolation | undefined)[]): void {
  const violations = found.filter((violation) => violation !== undefined);
  if (violations.length === 0) return;
  const summary = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
  throw new ServiceError({ kind: 'INVALID_REQUEST', violations }, `${summary}.`);
}

export function accountId(field: string, value: string): FieldViolation | undefined {
  return text(field, value, 1, 64);
}

/** min and max count characters, that is Unicode code points. */
export function text(field: string, value: string, min: number, max: number): FieldViolation | undefined {
  // The decoder puts a lone surrogate where it meets invalid UTF-8: see wire.ts.
  if (!value.isWellFormed()) return { field, description: 'must be valid UTF-8' };
  if (value.includes('\0')) return { field, description: 'must not contain the character U+0000' };
  if (value.length < min) return { field, description: 'must not be empty' };
  // No string has more characters than UTF-16 units, so most need no counting.
  if (value.length > max && codePoints(value) > max) {
    return { field, description: `must be at most ${max} characters long` };
  }
  return undefined;
}

export function metadata(field: string, notes: Metadata): FieldViolation | undefined {
  let count = 0;
  for (const key in notes) {
    count += 1;
    if (count > 20) return { field, description: 'must have at most 20 keys' };
    if (key === PROTOTYPE_KEY) return { field, description: 'must not have the key __proto__' };
    const bad = text('a key', key, 1, 40) ?? text('a value', notes[key]!, 0, 500);
    if (bad !== undefined) return { field, description: `has ${bad.field} that ${bad.description}` };
  }
  return undefined;
}

export function notNegative(field: string, value: bigint): FieldViolation | undefined {
  return value < 0n ? { field, description: 'must not be negative' } : undefined;
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

export function currency(field: string, value: string): FieldViolation | undefined {
  return CURRENCIES.has(value)
    ? undefined
    : { field, description: 'must be an ISO 4217 code in capitals, such as EUR' };
}

function accountType(field: string, value: AccountType): FieldViolation | undefined {
  // Whatever number was sent arrives here, known to AccountType or not.
  const known: boolean = value === AccountType.ACCOUNT_TYPE_CUSTOMER || value === AccountType.ACCOUNT_TYPE_EXTERNAL;
  return known ? undefined : { field, description: 'must be ACCOUNT_TYPE_CUSTOMER or ACCOUNT_TYPE_EXTERNAL' };
}

function overdraft(field: string, cents: bigint, type: AccountType): FieldViolation | undefined {
  if (type === AccountType.ACCOUNT_TYPE_EXTERNAL && cents !== 0n) {
    return { field, description: 'must be 0 for an EXTERNAL account, which has no limit' };
  }
  return notNegative(field, cents);
}
