import type { RefusalReason } from './domain/account-change.ts';

/** What can go wrong with a call, in the service's own terms; api/status.ts turns it into a gRPC status. */
export type Problem =
  | { readonly kind: 'INVALID_REQUEST'; readonly violations: readonly FieldViolation[] }
  | { readonly kind: 'NOT_FOUND'; readonly resourceType: ResourceType; readonly resourceName: string }
  | { readonly kind: 'KEY_REUSED'; readonly paymentId: string; readonly differing: readonly string[] }
  | { readonly kind: 'ACCOUNT_EXISTS'; readonly accountId: string; readonly differing: readonly string[] }
  /** The account is not changed, and stays as it is. */
  | { readonly kind: 'ACCOUNT_REFUSED'; readonly accountId: string; readonly reason: RefusalReason }
  /** Nobody knows who calls; the reason is one of api/access/denials.ts. */
  | { readonly kind: 'UNAUTHENTICATED'; readonly reason: string }
  /** The caller is known, and may not do this. */
  | { readonly kind: 'PERMISSION_DENIED'; readonly reason: string; readonly metadata: Readonly<Record<string, string>> }
  /** The caller's own bucket is empty, whoever the payer is. */
  | { readonly kind: 'TOO_MANY_CALLS'; readonly retryAfterMs: number }
  | { readonly kind: 'OVERLOADED'; readonly retryAfterMs: number }
  /** database: it is the database that is unavailable, and not, say, an account locked. */
  | { readonly kind: 'UNAVAILABLE'; readonly retryAfterMs: number; readonly database?: boolean }
  | { readonly kind: 'ABANDONED' };

type ResourceType = 'Payment' | 'Account' | 'AccountEntry';

export interface FieldViolation {
  /** The field as the proto names it. */
  readonly field: string;
  readonly description: string;
}

/** The one error the service throws on purpose. The cause is for the log, never for the caller. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly problem: Problem;

  constructor(problem: Problem, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.problem = problem;
  }
}

/** A transaction failed for no fault of its commands and changed nothing or is safe to repeat: run it again. */
export class TransientError extends Error {
  override readonly name = 'TransientError';
}

/**
 * A lock was not granted in time, and nothing was stored. Only the commands that need
 * the lock are concerned, but the error does not tell which those are.
 */
export class ContendedError extends Error {
  override readonly name = 'ContendedError';
}

/**
 * The payer is an EXTERNAL account, and the caller may not bring money into the books.
 * It ends the transaction, though only one command is to blame: the others are run again.
 */
export class ExternalPayerError extends Error {
  override readonly name = 'ExternalPayerError';
  readonly accountId: string;

  constructor(accountId: string) {
    super(`Account ${accountId} is EXTERNAL, and its caller may not pay from it`);
    this.accountId = accountId;
  }
}

export function unavailable(message: string, cause?: unknown): ServiceError {
  return new ServiceError({ kind: 'UNAVAILABLE', retryAfterMs: 1_000 }, message, { cause });
}

export function databaseUnavailable(message: string, cause: unknown): ServiceError {
  return new ServiceError({ kind: 'UNAVAILABLE', retryAfterMs: 1_000, database: true }, message, { cause });
}

/** The error of a call whose transaction may have committed before: OVERLOADED would say that nothing was stored. */
export function perhapsCommitted(error: unknown): unknown {
  const isOverloaded = error instanceof ServiceError && error.problem.kind === 'OVERLOADED';
  return isOverloaded ? unavailable('What became of the call cannot be found out now.', error) : error;
}

/** The error of a request with one field that is wrong; the description goes on from the field's name. */
export function invalidField(field: string, description: string): ServiceError {
  return new ServiceError(
    { kind: 'INVALID_REQUEST', violations: [{ field, description }] },
    `${field} ${description}.`,
  );
}

export function notFound(resourceType: ResourceType, resourceName: string, cause?: unknown): ServiceError {
  const what = { Payment: 'payment', Account: 'account', AccountEntry: 'entry' }[resourceType];
  const problem = { kind: 'NOT_FOUND', resourceType, resourceName } as const;
  return new ServiceError(problem, `There is no ${what} ${resourceName}.`, { cause });
}

export function noPaymentWithKey(idempotencyKey: string, cause?: unknown): ServiceError {
  const problem = { kind: 'NOT_FOUND', resourceType: 'Payment', resourceName: idempotencyKey } as const;
  return new ServiceError(problem, 'There is no payment with this idempotency key.', { cause });
}

/** What is thrown meanwhile on purpose is told to be about a field of the request. */
export function about<Result>(field: string, check: () => Result): Result {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    throw new ServiceError(error.problem, `${field}: ${error.message}`, { cause: error.cause });
  }
}
