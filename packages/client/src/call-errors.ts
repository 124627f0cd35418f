import { LedgerError } from './errors.ts';

export interface FailedCall {
  /** The gRPC status by name, such as UNAVAILABLE. */
  readonly status: string;
  /** The service's reason by name, such as TOKEN_EXPIRED; undefined if the service did not answer itself. */
  readonly reason: string | undefined;
  /** By which the service's log knows the call. */
  readonly requestId: string | undefined;
  /** How long the service asks to be left alone. */
  readonly retryAfterMs: number | undefined;
}

/** The call ended with a gRPC status other than OK. */
export class CallFailedError extends LedgerError implements FailedCall {
  override readonly name: string = 'CallFailedError';
  readonly status: string;
  readonly reason: string | undefined;
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, call: FailedCall, options?: { cause?: unknown }) {
    super(`${call.status}: ${message}`, options);
    this.status = call.status;
    this.reason = call.reason;
    this.requestId = call.requestId;
    this.retryAfterMs = call.retryAfterMs;
  }
}

/** The request breaks the contract; every bad field is named, as the proto names it. */
export class InvalidRequestError extends CallFailedError {
  override readonly name = 'InvalidRequestError';
  readonly violations: readonly { readonly field: string; readonly description: string }[];

  constructor(message: string, call: FailedCall, violations: InvalidRequestError['violations']) {
    super(message, call);
    this.violations = violations;
  }
}

/** The key belongs to another payment, action or batch. A key was used for two, or a request was changed between its calls. */
export class IdempotencyKeyReusedError extends CallFailedError {
  override readonly name = 'IdempotencyKeyReusedError';
  /** Of the payment, or the action on one, that has the key. */
  readonly paymentId: string;
  /** In which this request differs from it, as the proto names them; method if it was made by another one. */
  readonly differingFields: readonly string[];

  constructor(message: string, call: FailedCall, paymentId: string, differingFields: readonly string[]) {
    super(message, call);
    this.paymentId = paymentId;
    this.differingFields = differingFields;
  }
}

/** There is an account with this id, of another kind. */
export class AccountExistsError extends CallFailedError {
  override readonly name = 'AccountExistsError';
  readonly differingFields: readonly string[];

  constructor(message: string, call: FailedCall, differingFields: readonly string[]) {
    super(message, call);
    this.differingFields = differingFields;
  }
}

/** The account is not changed, as its state forbids it; reason says what, such as ACCOUNT_NOT_EMPTY. */
export class ChangeRefusedError extends CallFailedError {
  override readonly name = 'ChangeRefusedError';
}

/** The account has another etag than the change names: it has changed since. Read it again and decide anew. */
export class EtagMismatchError extends CallFailedError {
  override readonly name = 'EtagMismatchError';
}

/** There is no such payment or account, or it is none of this caller's. */
export class NotFoundError extends CallFailedError {
  override readonly name = 'NotFoundError';
}

/** The service does not know who calls; reason says why. */
export class UnauthenticatedError extends CallFailedError {
  override readonly name = 'UnauthenticatedError';
}

/** The caller may not do this; reason says why. */
export class PermissionDeniedError extends CallFailedError {
  override readonly name = 'PermissionDeniedError';
}

/** There was no answer within the call's time. */
export class DeadlineExceededError extends CallFailedError {
  override readonly name = 'DeadlineExceededError';
}

/** The service could not be reached, or has too much to do, and so for all the attempts. */
export class UnavailableError extends CallFailedError {
  override readonly name = 'UnavailableError';
}
