import {
  AccountRole,
  AuthorizePaymentRequest,
  CapturePaymentRequest,
  HoldPaymentRequest,
  ListPaymentsRequest,
  PaymentStatus,
  RefundPaymentRequest,
  VoidPaymentRequest,
} from '../../../src/gen/payment/v1/payment.ts';
import type { CaptureRequest, HoldRequest, PaymentRequest, RefundRequest, VoidRequest } from './payment-messages.ts';

/** One of accountId, reference, batchId and createdFrom must be given. Times are RFC 3339. */
export interface PaymentFilter {
  readonly accountId?: string;
  readonly role?: 'PAYER' | 'PAYEE';
  readonly statuses?: readonly ('AUTHORIZED' | 'DECLINED' | 'HELD' | 'CAPTURED' | 'VOIDED' | 'EXPIRED')[];
  readonly reference?: string;
  /** Payments that this batch has made or done something to. */
  readonly batchId?: string;
  readonly createdFrom?: string;
  readonly createdBefore?: string;
}

// JavaScript's callers are told what the types tell TypeScript's: an amount that became
// another one on the way would be paid.

export function authorizeRequest(payment: PaymentRequest): AuthorizePaymentRequest {
  requireAmount(payment.amountCents);
  return AuthorizePaymentRequest.fromPartial(payment);
}

export function holdRequest({ ttlMs, ...payment }: HoldRequest): HoldPaymentRequest {
  requireAmount(payment.amountCents);
  if (ttlMs === undefined) return HoldPaymentRequest.fromPartial(payment);
  if (!Number.isSafeInteger(ttlMs)) throw new TypeError(`ttlMs must be a whole number, not ${ttlMs}`);
  const ttl = { seconds: BigInt(Math.trunc(ttlMs / 1_000)), nanos: (ttlMs % 1_000) * 1e6 };
  return HoldPaymentRequest.fromPartial({ ...payment, ttl });
}

export function captureRequest(capture: CaptureRequest): CapturePaymentRequest {
  requireAmountIfGiven(capture);
  return CapturePaymentRequest.fromPartial(capture);
}

export function voidRequest(request: VoidRequest): VoidPaymentRequest {
  return VoidPaymentRequest.fromPartial(request);
}

export function refundRequest(refund: RefundRequest): RefundPaymentRequest {
  requireAmountIfGiven(refund);
  return RefundPaymentRequest.fromPartial(refund);
}

export function listPaymentsRequest(filter: PaymentFilter, pageToken: string): ListPaymentsRequest {
  const { role, statuses = [], ...others } = filter;
  return ListPaymentsRequest.fromPartial({
    ...others,
    role: AccountRole[`ACCOUNT_ROLE_${role ?? 'UNSPECIFIED'}`],
    statuses: statuses.map((status) => PaymentStatus[`PAYMENT_STATUS_${status}`]),
    pageToken,
  });
}

/** Left out it stands for all there is; a value that is undefined by mistake must not. */
function requireAmountIfGiven(request: CaptureRequest | RefundRequest): void {
  if (Object.hasOwn(request, 'amountCents')) requireAmount(request.amountCents);
}

function requireAmount(amountCents: bigint | undefined): void {
  if (typeof amountCents === 'bigint' && BigInt.asIntN(64, amountCents) === amountCents) return;
  throw new TypeError(`amountCents must be a bigint of 64 bits, not ${amountCents}`);
}
