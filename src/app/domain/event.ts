import type { LedgerEntry } from './ledger.ts';
import type { Decline, Payment } from './payment.ts';

export type PaymentEventType = 'payment.authorized.v1' | 'payment.declined.v1';

/** What the world is told of a payment: one event for each, with the payment's own id. */
export interface PaymentEvent {
  /** The payment's id, and so the CloudEvents id (ce_id). */
  readonly eventId: string;
  readonly type: PaymentEventType;
  /** The Kafka key: events of one payer stay in order. */
  readonly payerAccountId: string;
  readonly createdAt: Date;
  /** The message of events.proto in protobuf-JSON form. */
  readonly payload: JsonObject;
}

export type JsonObject = { readonly [key: string]: string | number | boolean | JsonObject | undefined };

/** The event of an authorized payment, with both accounts as its entries left them. */
export function paymentAuthorized(payment: Payment, debit: LedgerEntry, credit: LedgerEntry): PaymentEvent {
  return {
    eventId: payment.paymentId,
    type: 'payment.authorized.v1',
    payerAccountId: payment.payerAccountId,
    createdAt: payment.createdAt,
    payload: {
      ...common(payment),
      authorizedAt: payment.createdAt.toISOString(),
      payer: accountState(debit),
      payee: accountState(credit),
    },
  };
}

export function paymentDeclined(payment: Payment, decline: Decline): PaymentEvent {
  return {
    eventId: payment.paymentId,
    type: 'payment.declined.v1',
    payerAccountId: payment.payerAccountId,
    createdAt: payment.createdAt,
    payload: {
      ...common(payment),
      declinedAt: payment.createdAt.toISOString(),
      error: { code: `PAYMENT_ERROR_CODE_${decline.code}`, message: decline.message },
    },
  };
}

// Protobuf-JSON writes int64 as a string and leaves default values out:
// https://protobuf.dev/programming-guides/json/
function common(payment: Payment): JsonObject {
  return {
    paymentId: payment.paymentId,
    payerAccountId: payment.payerAccountId,
    payeeAccountId: payment.payeeAccountId,
    amountCents: payment.amountCents.toString(),
    currency: payment.currency,
    description: payment.description === '' ? undefined : payment.description,
    reference: payment.reference,
    metadata: payment.metadata,
  };
}

function accountState(entry: LedgerEntry): JsonObject {
  return {
    balanceCents: entry.balanceAfterCents === 0n ? undefined : entry.balanceAfterCents.toString(),
    version: entry.version.toString(),
  };
}
