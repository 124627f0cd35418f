import type { Decline } from '../../app/domain/payment.ts';
import { type PaymentError, PaymentErrorCode } from '../../gen/payment/v1/payment.ts';

/** retryAfterMs is 0 for all but RATE_LIMITED. */
export function toPaymentError({ code, message }: Decline, retryAfterMs = 0): PaymentError {
  const codes: Readonly<Record<string, PaymentErrorCode>> = PaymentErrorCode;
  return {
    // During an upgrade a newer replica may have declined for a reason that has no name here.
    code: codes[`PAYMENT_ERROR_CODE_${code}`] ?? PaymentErrorCode.PAYMENT_ERROR_CODE_UNSPECIFIED,
    message,
    retryAfterMs: BigInt(retryAfterMs),
  };
}
