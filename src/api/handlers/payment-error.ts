import type { Decline } from '../../app/domain/payment.ts';
import { type PaymentError, PaymentErrorCode } from '../../gen/payment/v1/payment.ts';

/** retryAfterMs is 0 for all but RATE_LIMITED. */
export function toPaymentError({ code, message }: Decline, retryAfterMs = 0): PaymentError {
  return { code: PaymentErrorCode[`PAYMENT_ERROR_CODE_${code}`], message, retryAfterMs: BigInt(retryAfterMs) };
}
