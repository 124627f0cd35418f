import { notFound } from '../../app/errors.ts';
import type { Payments } from '../../app/payment-service.ts';
import { GetPaymentRequest, type GetPaymentResponse } from '../../gen/payment/v1/payment.ts';
import type { Rpc } from '../rpc.ts';
import { checkGetPayment } from '../validation.ts';
import { toPaymentMessage } from './payment-message.ts';

/** 128 bits in Crockford's base 32: https://github.com/ulid/spec. Case does not count. */
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

export function getPayment(
  payments: Pick<Payments, 'findPayment' | 'findPaymentByKey'>,
): Rpc<GetPaymentRequest, GetPaymentResponse> {
  return {
    request: GetPaymentRequest,
    async handle(request, call) {
      checkGetPayment(request);
      const { idempotencyKey } = request;
      const abandoned = () => call.abandoned();
      if (idempotencyKey !== '') {
        // Calls are not authenticated yet, so all of them are one caller's.
        return {
          payment: toPaymentMessage(await payments.findPaymentByKey({ caller: '', idempotencyKey }, abandoned)),
        };
      }
      const paymentId = request.paymentId.toUpperCase();
      // What is no ULID names no payment: the same answer as for an id that nobody has.
      if (!ULID.test(paymentId)) throw notFound('Payment', request.paymentId);
      return { payment: toPaymentMessage(await payments.findPayment(paymentId, abandoned)) };
    },
  };
}
