/** Why a payment was declined. A service that is newer than this client may have more reasons. */
export type DeclineCode =
  | 'INSUFFICIENT_FUNDS'
  | 'ACCOUNT_NOT_FOUND'
  | 'INVALID_AMOUNT'
  | 'SAME_ACCOUNT'
  | 'CURRENCY_MISMATCH'
  | 'ACCOUNT_FROZEN'
  | 'ACCOUNT_CLOSED'
  | (string & {});

/** What every error of this client is. */
export class LedgerError extends Error {
  override readonly name: string = 'LedgerError';
}

/**
 * No money has moved, now or by any earlier call with this key, and repeating the call
 * will not change that.
 */
export class PaymentDeclinedError extends LedgerError {
  override readonly name = 'PaymentDeclinedError';
  readonly code: DeclineCode;
  readonly idempotencyKey: string;
  /** Of the declined payment. Undefined if nothing was stored, and the key may be used again. */
  readonly paymentId: string | undefined;
  /** True if it was an earlier call with this key that was declined. */
  readonly duplicate: boolean;

  constructor(
    message: string,
    decline: { code: DeclineCode; idempotencyKey: string; paymentId: string | undefined; duplicate: boolean },
  ) {
    super(`${decline.code}: ${message}`);
    this.code = decline.code;
    this.idempotencyKey = decline.idempotencyKey;
    this.paymentId = decline.paymentId;
    this.duplicate = decline.duplicate;
  }
}

/**
 * The payer pays too often. This call stored nothing: repeat it with the same key, not
 * before retryAfterMs. It says nothing of earlier calls with the key, which may have paid.
 */
export class RateLimitedError extends LedgerError {
  override readonly name = 'RateLimitedError';
  readonly idempotencyKey: string;
  readonly retryAfterMs: number;

  constructor(message: string, limit: { idempotencyKey: string; retryAfterMs: number }) {
    super(message);
    this.idempotencyKey = limit.idempotencyKey;
    this.retryAfterMs = limit.retryAfterMs;
  }
}

/**
 * The payment may exist, or come to exist, or not: the time was up, or the connection
 * broke. Call authorizePayment again with the same request and the same key, now or after
 * a restart: it pays if the first call did not, and tells what became of it if it did.
 */
export class OutcomeUnknownError extends LedgerError {
  override readonly name = 'OutcomeUnknownError';
  readonly idempotencyKey: string;

  constructor(idempotencyKey: string, cause: LedgerError) {
    super(`Whether the payment was made is not known (${cause.message}). Repeat the call with the same key.`, {
      cause,
    });
    this.idempotencyKey = idempotencyKey;
  }
}

/** The token function failed or took longer than the call may. The call was not sent. */
export class TokenError extends LedgerError {
  override readonly name = 'TokenError';
}

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

/** The key belongs to another payment. A key was used for two, or a request was changed between its calls. */
export class IdempotencyKeyReusedError extends CallFailedError {
  override readonly name = 'IdempotencyKeyReusedError';
  /** The payment that has the key. */
  readonly paymentId: string;
  /** In which this request differs from it, as the proto names them. */
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
