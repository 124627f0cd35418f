import type { Payment } from '../../app/domain/payment.ts';
import { noPaymentWithKey, notFound, type ServiceError } from '../../app/errors.ts';
import type { Payments } from '../../app/payment-service.ts';
import { GetPaymentRequest, type GetPaymentResponse } from '../../gen/payment/v1/payment.ts';
import { accountNotAllowed } from '../access/accounts.ts';
import type { Caller } from '../access/caller.ts';
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
    scope: 'payments.read',
    async handle(request, call) {
      checkGetPayment(request);
      const { idempotencyKey } = request;
      const abandoned = () => call.abandoned();
      if (idempotencyKey !== '') {
        const payment = await payments.findPaymentByKey({ caller: call.caller.name, idempotencyKey }, abandoned);
        return answer(payment, call.caller, (cause) => noPaymentWithKey(idempotencyKey, cause));
      }
      const paymentId = request.paymentId.toUpperCase();
      // What is no ULID names no payment: the same answer as for an id that nobody has.
      if (!ULID.test(paymentId)) throw notFound('Payment', request.paymentId);
      const payment = await payments.findPayment(paymentId, abandoned);
      return answer(payment, call.caller, (cause) => notFound('Payment', paymentId, cause));
    },
    summary: ({ payment }) => ({ paymentId: payment?.paymentId }),
  };
}

/** Not PERMISSION_DENIED for a payment of others: that would tell that there is such a payment. */
function answer(
  payment: Payment,
  { accounts }: Caller,
  noPayment: (cause: ServiceError) => ServiceError,
): GetPaymentResponse {
  const { payerAccountId, payeeAccountId } = payment;
  const isCallers = [payerAccountId, payeeAccountId].some((accountId) => accounts.includes(accountId));
  if (!isCallers) throw noPayment(accountNotAllowed(payerAccountId));
  return { payment: toPaymentMessage(payment) };
}
