import { type AuthorizePaymentResponse, PaymentErrorCode, PaymentStatus } from '../../../src/gen/payment/v1/payment.ts';
import {
  CallFailedError,
  IdempotencyKeyReusedError,
  LedgerError,
  OutcomeUnknownError,
  PaymentDeclinedError,
  RateLimitedError,
  TokenError,
} from './errors.ts';
import { leavesOutcomeOpen } from './failure.ts';
import { type AuthorizedPayment, declineCode, nameOf } from './messages.ts';

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
  const message = error?.message ?? 'The payment was declined.';
  if (error?.code === PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED) {
    throw new RateLimitedError(message, { idempotencyKey, retryAfterMs: Number(error.retryAfterMs) });
  }
  const stored = paymentId === '' ? undefined : paymentId;
  throw new PaymentDeclinedError(message, {
    code: declineCode(error?.code),
    idempotencyKey,
    paymentId: stored,
    duplicate,
  });
}

/**
 * What authorizePayment throws, given what its attempts came to, in order. One that may
 * have paid makes the outcome unknown, unless a later answer tells of the payment itself:
 * a full queue or an empty bucket does not.
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
