import type {
  AuthorizePaymentRequest,
  CapturePaymentRequest,
  HoldPaymentRequest,
  RefundPaymentRequest,
  VoidPaymentRequest,
} from '../../../src/gen/payment/v1/payment.ts';

export type FirstRequest =
  | { readonly method: 'AUTHORIZE'; readonly request: AuthorizePaymentRequest }
  | { readonly method: 'HOLD'; readonly request: HoldPaymentRequest };

export type LaterRequest =
  | { readonly method: 'CAPTURE'; readonly request: CapturePaymentRequest }
  | { readonly method: 'VOID'; readonly request: VoidPaymentRequest }
  | { readonly method: 'REFUND'; readonly request: RefundPaymentRequest };

/** A request that moves money. */
export type MoneyRequest = FirstRequest | LaterRequest;

/** Several of them, as one; their own keys do not count. */
export interface BatchRequest {
  readonly method: 'BATCH';
  readonly request: { readonly idempotencyKey: string; readonly items: readonly MoneyRequest[] };
}

export function isLater(asked: MoneyRequest): asked is LaterRequest {
  return asked.method !== 'AUTHORIZE' && asked.method !== 'HOLD';
}

/** What makes two requests the same: the method, and fields by their names in the proto. */
export interface Identity {
  readonly method: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** description is no part of it. */
export function identityOf({ method, request }: MoneyRequest | BatchRequest): Identity {
  if (method === 'BATCH') return { method, fields: { items: JSON.stringify(request.items.map(identityOf)) } };
  const { reference, metadata } = request;
  const notes = { reference, metadata: JSON.stringify(Object.entries(metadata).sort()) };
  switch (method) {
    case 'AUTHORIZE':
      return { method, fields: { ...notes, ...paymentFields(request) } };
    case 'HOLD':
      return { method, fields: { ...notes, ...paymentFields(request), ttl: String(ttlMs(request)) } };
    case 'CAPTURE': {
      const { paymentId, amountCents, keepRemainder } = request;
      const fields = { payment_id: paymentId, amount_cents: String(amountCents) };
      return { method, fields: { ...notes, ...fields, keep_remainder: String(keepRemainder) } };
    }
    case 'VOID':
      return { method, fields: { ...notes, payment_id: request.paymentId } };
    case 'REFUND':
      return {
        method,
        fields: { ...notes, payment_id: request.paymentId, amount_cents: String(request.amountCents) },
      };
  }
}

function paymentFields({ payerAccountId, payeeAccountId, amountCents, currency }: AuthorizePaymentRequest) {
  return {
    payer_account_id: payerAccountId,
    payee_account_id: payeeAccountId,
    amount_cents: String(amountCents),
    currency,
  };
}

const DAY_MS = 86_400_000;

export function ttlMs({ ttl }: HoldPaymentRequest): number {
  return ttl === undefined ? 7 * DAY_MS : Number(ttl.seconds) * 1_000 + Math.trunc(ttl.nanos / 1e6);
}

/** The fields that differ, the method as "method"; of two methods those that both have. */
export function differingFields(one: Identity, other: Identity): string[] {
  const common = Object.keys(one.fields).filter((field) => field in other.fields);
  const differing = common.filter((field) => one.fields[field] !== other.fields[field]);
  return one.method === other.method ? differing : [...differing, 'method'];
}
