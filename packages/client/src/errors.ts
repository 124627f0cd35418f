import type { StoredAction, StoredPayment } from './payment-messages.ts';

/** Why a payment, or an action on one, was declined. A service that is newer than this client may have more reasons. */
export type DeclineCode =
  | 'INSUFFICIENT_FUNDS'
  | 'ACCOUNT_NOT_FOUND'
  | 'INVALID_AMOUNT'
  | 'SAME_ACCOUNT'
  | 'CURRENCY_MISMATCH'
  | 'ACCOUNT_FROZEN'
  | 'ACCOUNT_CLOSED'
  | 'PAYMENT_NOT_HELD'
  | 'PAYMENT_EXPIRED'
  | 'AMOUNT_EXCEEDS_HELD'
  | 'AMOUNT_EXCEEDS_CAPTURED'
  | 'TOO_MANY_ACTIONS'
  | (string & {});

/** What every error of this client is. */
export class LedgerError extends Error {
  override readonly name: string = 'LedgerError';
}

/**
 * A payment or a hold was declined. No money has moved or was set aside, now or by any
 * earlier call with this key, and repeating the call will not change that.
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
 * A capture, a void or a refund was declined. It changed nothing, now or by any earlier
 * call with this key, and repeating the call will not change that.
 */
export class ActionDeclinedError extends LedgerError {
  override readonly name = 'ActionDeclinedError';
  readonly code: DeclineCode;
  readonly idempotencyKey: string;
  /** The declined action. Undefined if nothing was stored, and the key may be used again. */
  readonly action: StoredAction | undefined;
  /** As it is now: what is held, and what can be refunded. */
  readonly payment: StoredPayment;
  /** True if it was an earlier call with this key that was declined. */
  readonly duplicate: boolean;

  constructor(
    message: string,
    decline: {
      code: DeclineCode;
      idempotencyKey: string;
      action: StoredAction | undefined;
      payment: StoredPayment;
      duplicate: boolean;
    },
  ) {
    super(`${decline.code}: ${message}`);
    this.code = decline.code;
    this.idempotencyKey = decline.idempotencyKey;
    this.action = decline.action;
    this.payment = decline.payment;
    this.duplicate = decline.duplicate;
  }
}

/**
 * An item of a batch was declined, so nothing of any item has happened, now or by any
 * earlier call with this key, and repeating the call will not change that.
 */
export class BatchDeclinedError extends LedgerError {
  override readonly name = 'BatchDeclinedError';
  readonly code: DeclineCode;
  readonly idempotencyKey: string;
  /** Which of the items was declined; the first is 0. */
  readonly declinedItem: number;
  /** Of the declined batch. Undefined if nothing was stored, and the key may be used again. */
  readonly batchId: string | undefined;
  /** True if it was an earlier call with this key that was declined. */
  readonly duplicate: boolean;

  constructor(
    message: string,
    decline: {
      code: DeclineCode;
      idempotencyKey: string;
      declinedItem: number;
      batchId: string | undefined;
      duplicate: boolean;
    },
  ) {
    super(`${decline.code}: ${message}`);
    this.code = decline.code;
    this.idempotencyKey = decline.idempotencyKey;
    this.declinedItem = decline.declinedItem;
    this.batchId = decline.batchId;
    this.duplicate = decline.duplicate;
  }
}

/**
 * The account that pays, which for a refund is the payee, pays too often. This call stored nothing: repeat it with the same key, not
 * before retryAfterMs. It says nothing of earlier calls with the key, which may have done it.
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
 * The payment or action may exist, or come to exist, or not: the time was up, or the
 * connection broke. Make the same call again with the same request and the same key, now
 * or after a restart: it does it if the first call did not, and tells what became of it
 * if it did.
 */
export class OutcomeUnknownError extends LedgerError {
  override readonly name = 'OutcomeUnknownError';
  readonly idempotencyKey: string;

  constructor(idempotencyKey: string, cause: LedgerError) {
    super(`Whether the call took effect is not known (${cause.message}). Repeat it with the same key.`, {
      cause,
    });
    this.idempotencyKey = idempotencyKey;
  }
}

/** The token function failed or took longer than the call may. The call was not sent. */
export class TokenError extends LedgerError {
  override readonly name = 'TokenError';
}
