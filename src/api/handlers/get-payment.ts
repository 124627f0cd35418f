import type { Payment } from '../../app/domain/payment.ts';
import { ServiceError } from '../../app/errors.ts';
import type { Payments } from '../../app/payment-service.ts';
import {
  GetPaymentRequest,
  type GetPaymentResponse,
  PaymentStatus,
  type Payment as ProtoPayment,
} from '../../gen/payment/v1/payment.ts';
import { accountNotAllowed } from '../access/accounts.ts';
import type { Rpc } from '../rpc.ts';
import { checkGetPayment } from '../validation.ts';
import { toPaymentError } from './payment-error.ts';

/** 128 bits in Crockford's base 32: https://github.com/ulid/spec. Case does not count. */
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

export function getPayment(payments: Pick<Payments, 'findPayment'>): Rpc<GetPaymentRequest, GetPaymentResponse> {
  return {
    request: GetPaymentRequest,
    scope: 'payments.read',
    async handle(request, call) {
      checkGetPayment(request);
      const paymentId = request.paymentId.toUpperCase();
      if (!ULID.test(paymentId)) throw noPayment(request.paymentId);
      const payment = await payments.findPayment(paymentId, () => call.abandoned());
      const { payerAccountId, payeeAccountId } = payment;
      const isCallers = [payerAccountId, payeeAccountId].some((accountId) => call.caller.accounts.includes(accountId));
      // Not PERMISSION_DENIED: that would tell that there is such a payment.
      if (!isCallers) throw noPayment(paymentId, accountNotAllowed(payerAccountId));
      return { payment: toProto(payment) };
    },
    summary: ({ payment }) => ({ paymentId: payment?.paymentId }),
  };
}

/** What is no ULID names no payment: the same answer as for an id that nobody has. */
function noPayment(paymentId: string, cause?: ServiceError): ServiceError {
  return new ServiceError(
    { kind: 'NOT_FOUND', resourceType: 'Payment', resourceName: paymentId },
    `There is no payment ${paymentId}.`,
    { cause },
  );
}

function toProto(payment: Payment): ProtoPayment {
  const { paymentId, payerAccountId, payeeAccountId, amountCents, currency, description, verdict } = payment;
  const decidedAt = payment.createdAt.toISOString();
  return {
    paymentId,
    payerAccountId,
    payeeAccountId,
    amountCents,
    currency,
    status: PaymentStatus[`PAYMENT_STATUS_${verdict.status}`],
    description,
    createdAt: decidedAt,
    updatedAt: decidedAt,
    error: verdict.status === 'DECLINED' ? toPaymentError(verdict.decline) : undefined,
  };
}
