import { noPaymentWithKey } from '../../app/errors.ts';
import type { Payments } from '../../app/payment-service.ts';
import { GetPaymentRequest, type GetPaymentResponse } from '../../gen/payment/v1/payment.ts';
import type { Rpc } from '../rpc.ts';
import { checkGetPayment } from '../validation.ts';
import { requireOwnPayment } from './asked.ts';
import { paymentIdOf } from './payment-id.ts';
import { toPaymentMessage } from './payment-message.ts';

export function getPayment(
  payments: Pick<Payments, 'findPayment' | 'findPaymentByKey'>,
): Rpc<GetPaymentRequest, GetPaymentResponse> {
  return {
    request: GetPaymentRequest,
    scope: 'payments.read',
    async handle(request, call) {
      checkGetPayment(request);
      const { idempotencyKey } = request;
      const abandoned = () => call.abandoned();
      if (idempotencyKey !== '') {
        const payment = await payments.findPaymentByKey({ caller: call.caller.name, idempotencyKey }, abandoned);
        requireOwnPayment(call.caller, payment, (cause) => noPaymentWithKey(idempotencyKey, cause));
        return { payment: toPaymentMessage(payment), batchId: payment.keyOfBatch ?? '' };
      }
      const payment = await payments.findPayment(paymentIdOf(request.paymentId), abandoned);
      requireOwnPayment(call.caller, payment);
      return { payment: toPaymentMessage(payment), batchId: '' };
    },
    summary: ({ payment }) => ({ paymentId: payment?.paymentId }),
  };
}
