import { type CurrentPayment, statusOf } from '../../app/domain/payment-balance.ts';
import { PaymentStatus, type Payment as ProtoPayment } from '../../gen/payment/v1/payment.ts';
import { toPaymentError } from './payment-error.ts';

export function toPaymentMessage(payment: CurrentPayment): ProtoPayment {
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
    balance,
  } = payment;
  return {
    paymentId,
    payerAccountId,
    payeeAccountId,
    amountCents,
    currency,
    status: PaymentStatus[`PAYMENT_STATUS_${statusOf(payment, balance)}`],
    description,
    createdAt: payment.createdAt.toISOString(),
    updatedAt: balance.updatedAt.toISOString(),
    capturedCents: balance.capturedCents,
    heldCents: balance.heldCents,
    releasedCents: balance.releasedCents,
    refundedCents: balance.refundedCents,
    expiresAt: balance.expiresAt?.toISOString() ?? '',
    reference: reference ?? '',
    metadata: metadata ?? {},
    batchId: payment.batch?.batchId ?? '',
    error: verdict.status === 'DECLINED' ? toPaymentError(verdict.decline) : undefined,
  };
}
