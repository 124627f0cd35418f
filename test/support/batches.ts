import type {
  CaptureItem,
  HoldItem,
  PaymentBatchItem,
  RefundItem,
  TransferItem,
  VoidItem,
} from '../../src/gen/payment/v1/payment.ts';

const NOTES = { description: '', reference: '', metadata: {} };
const PARTIES = { payerAccountId: '', payeeAccountId: '', amountCents: 0n, currency: 'RUB', ...NOTES };

/** Items of batches, complete; in RUB, and of all there is, unless told otherwise. */
export const transferItem = (item: Partial<TransferItem>): PaymentBatchItem => ({ transfer: { ...PARTIES, ...item } });
export const holdItem = (item: Partial<HoldItem>): PaymentBatchItem => ({
  hold: { ...PARTIES, ttl: undefined, ...item },
});
export const captureItem = (paymentId: string, item: Partial<CaptureItem> = {}): PaymentBatchItem => ({
  capture: { paymentId, amountCents: undefined, keepRemainder: false, ...NOTES, ...item },
});
export const voidItem = (paymentId: string, item: Partial<VoidItem> = {}): PaymentBatchItem => ({
  void: { paymentId, ...NOTES, ...item },
});
export const refundItem = (paymentId: string, item: Partial<RefundItem> = {}): PaymentBatchItem => ({
  refund: { paymentId, amountCents: undefined, ...NOTES, ...item },
});
