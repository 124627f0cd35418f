import type { Payment } from '../../app/domain/payment.ts';
import { PaymentStatus, type Payment as ProtoPayment } from '../../gen/payment/v1/payment.ts';
import { toPaymentError } from './payment-error.ts';

export function toPaymentMessage(payment: Payment): ProtoPayment {
  const {
    paymentId,
    payerAccountId,
    payeeAccountId,
    amountCents,
    currency,
    description,
    reference,
    metadata,
    verdict,
  } = payment;
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
    reference: reference ?? '',
    metadata: metadata ?? {},
    error: verdict.status === 'DECLINED' ? toPaymentError(verdict.decline) : undefined,
  };
}
