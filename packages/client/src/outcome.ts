import {
  type AuthorizePaymentResponse,
  type CapturePaymentResponse,
  type HoldPaymentResponse,
  type PaymentError,
  PaymentErrorCode,
  PaymentStatus,
  type RefundPaymentResponse,
  type VoidPaymentResponse,
} from '../../../src/gen/payment/v1/payment.ts';
import { CallFailedError, IdempotencyKeyReusedError } from './call-errors.ts';
import {
  ActionDeclinedError,
  LedgerError,
  OutcomeUnknownError,
  PaymentDeclinedError,
  RateLimitedError,
  TokenError,
} from './errors.ts';
import { leavesOutcomeOpen } from './failure.ts';
import { declineCode, nameOf } from './names.ts';
import { type AuthorizedPayment, type CompletedAction, toStoredAction, toStoredPayment } from './payment-messages.ts';

/** A call and its answer, as far as an error repeats them. */
interface Declined {
  readonly idempotencyKey: string;
  readonly duplicate: boolean;
  /** Empty if nothing was stored. */
  readonly paymentId: string;
}

/**
 * The payment if its money has moved, by this call or an earlier one with the key.
 * Throws PaymentDeclinedError if it was declined, also by an earlier call, and
 * RateLimitedError; and a LedgerError for an answer that only newer clients understand.
 */
export function authorizedOrThrow(response: AuthorizePaymentResponse, idempotencyKey: string): AuthorizedPayment {
  const { paymentId, processedAt, error } = response;
  const duplicate = response.status === PaymentStatus.PAYMENT_STATUS_DUPLICATE;
  // A duplicate is what its original was: the duplicate of a decline has moved no money.
  const status = duplicate ? response.originalStatus : response.status;
  if (status === PaymentStatus.PAYMENT_STATUS_AUTHORIZED) return { paymentId, processedAt, duplicate };
  if (status !== PaymentStatus.PAYMENT_STATUS_DECLINED) {
    const name = nameOf(PaymentStatus, 'PAYMENT_STATUS_', status);
    throw new LedgerError(
      `Payment ${paymentId} has the status ${name}, which this version of the client does not know.`,
    );
  }
  throw paymentDecline(error, { idempotencyKey, duplicate, paymentId });
}

/** The hold if the money is set aside, by this call or an earlier one with the key. Otherwise throws as authorizedOrThrow. */
export function heldOrThrow(response: HoldPaymentResponse, idempotencyKey: string): CompletedAction {
  const { action, replayed: duplicate } = response;
  if (action?.error === undefined) return completed(response);
  throw paymentDecline(action.error, { idempotencyKey, duplicate, paymentId: action.paymentId });
}

/**
 * The action if it is done, by this call or an earlier one with the key. Throws
 * ActionDeclinedError if it was declined, also by an earlier call, and RateLimitedError.
 */
export function completedOrThrow(
  response: CapturePaymentResponse | VoidPaymentResponse | RefundPaymentResponse,
  idempotencyKey: string,
): CompletedAction {
  const { action, payment, replayed: duplicate } = response;
  if (action?.error === undefined) return completed(response);
  const { code, message } = action.error;
  if (code === PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED) throw rateLimit(action.error, idempotencyKey);
  throw new ActionDeclinedError(message, {
    code: declineCode(code),
    idempotencyKey,
    action: action.actionId === '' ? undefined : toStoredAction(action),
    payment: toStoredPayment(present(payment)),
    duplicate,
  });
}

function completed({ action, payment, replayed: duplicate }: HoldPaymentResponse): CompletedAction {
  const stored = present(action);
  if (stored.actionId === '') throw new LedgerError('The answer has neither an action nor an error.');
  return { action: toStoredAction(stored), payment: toStoredPayment(present(payment)), duplicate };
}

function paymentDecline(error: PaymentError | undefined, declined: Declined): LedgerError {
  const { idempotencyKey, duplicate, paymentId } = declined;
  if (error?.code === PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED) return rateLimit(error, idempotencyKey);
  return new PaymentDeclinedError(error?.message ?? 'The payment was declined.', {
    code: declineCode(error?.code),
    idempotencyKey,
    paymentId: paymentId === '' ? undefined : paymentId,
    duplicate,
  });
}

export function rateLimit({ message, retryAfterMs }: PaymentError, idempotencyKey: string): RateLimitedError {
  return new RateLimitedError(message, { idempotencyKey, retryAfterMs: Number(retryAfterMs) });
}

/** The service always sends it. */
export function present<T>(message: T | undefined): T {
  if (message === undefined) throw new LedgerError('The answer lacks the message that it is to bring.');
  return message;
}

/**
 * What a call with a key throws, given what its attempts came to, in order. One that may
 * have done it makes the outcome unknown, unless a later answer tells of the payment or
 * the action itself: a full queue or an empty bucket does not.
 */
export function paymentFailure(failures: readonly LedgerError[], idempotencyKey: string): LedgerError {
  const last = failures.at(-1);
  if (last === undefined) throw new Error('Bug! A payment failed without an error');
  if (tellsOfThePayment(last)) return last;
  return failures.some(leavesOutcomeOpen) ? new OutcomeUnknownError(idempotencyKey, last) : last;
}

function tellsOfThePayment(error: LedgerError): boolean {
  if (error instanceof RateLimitedError || error instanceof TokenError) return false;
  return error instanceof IdempotencyKeyReusedError || !(error instanceof CallFailedError);
}
