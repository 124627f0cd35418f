import { expect, test } from 'vitest';
import { toPaymentError } from '../../../src/api/handlers/payment-error.ts';
import type { DeclineCode } from '../../../src/app/domain/payment.ts';
import { PaymentError, PaymentErrorCode } from '../../../src/gen/payment/v1/payment.ts';

test('a decline of a newer version, whose reason has no name here, can still be shown', () => {
  const error = toPaymentError({ code: 'OF_LATER' as DeclineCode, message: 'Because.' });
  expect(PaymentError.decode(PaymentError.encode(error).finish())).toEqual({
    code: PaymentErrorCode.PAYMENT_ERROR_CODE_UNSPECIFIED,
    message: 'Because.',
    retryAfterMs: 0n,
  });
});
