import type { LedgerEntry } from './ledger.ts';
import type { Action, Decline } from './payment.ts';

export type PaymentEventType =
  | 'payment.authorized.v1'
  | 'payment.declined.v1'
  | 'payment.held.v1'
  | 'payment.captured.v1'
  | 'payment.voided.v1'
  | 'payment.expired.v1'
  | 'payment.refunded.v1'
  | 'payment.action_declined.v1';

/** What the world is told of a payment: one event for each action on it, with the action's own id. */
export interface PaymentEvent {
  /** The action's id, and so the CloudEvents id (ce_id). */
  readonly eventId: string;
  readonly type: PaymentEventType;
  /** The Kafka key: events of one payer stay in order. */
  readonly payerAccountId: string;
  readonly createdAt: Date;
  /** The message of events.proto in protobuf-JSON form. */
  readonly payload: JsonObject;
}

export type JsonObject = { readonly [key: string]: string | number | boolean | JsonObject | undefined };

/** By the kind of the action: the type of the event that it was taken, and the field with its time. */
const TAKEN = {
  PAYMENT: ['payment.authorized.v1', 'authorizedAt'],
  HOLD: ['payment.held.v1', 'heldAt'],
  CAPTURE: ['payment.captured.v1', 'capturedAt'],
  VOID: ['payment.voided.v1', 'voidedAt'],
  EXPIRY: ['payment.expired.v1', 'expiredAt'],
  REFUND: ['payment.refunded.v1', 'refundedAt'],
} as const;

/** The event of an action that was taken, with the accounts as its ledger entries left them. */
export function actionTaken(
  action: Action,
  { payer, payee }: { readonly payer: LedgerEntry; readonly payee: LedgerEntry | undefined },
): PaymentEvent {
  const [type, timeField] = TAKEN[action.kind];
  return event(action, type, {
    ...common(action),
    [timeField]: action.createdAt.toISOString(),
    expiresAt: action.expiresAt?.toISOString(),
    payer: accountState(payer),
    payee: payee && accountState(payee),
  });
}

export function actionDeclined(action: Action, decline: Decline): PaymentEvent {
  const type = isFirst(action) ? 'payment.declined.v1' : 'payment.action_declined.v1';
  return event(action, type, {
    ...common(action),
    declinedAt: action.createdAt.toISOString(),
    error: { code: `PAYMENT_ERROR_CODE_${decline.code}`, message: decline.message },
    type: isFirst(action) ? undefined : `PAYMENT_ACTION_TYPE_${action.kind}`,
  });
}

function event(action: Action, type: PaymentEventType, payload: JsonObject): PaymentEvent {
  const { actionId, payerAccountId, createdAt } = action;
  return { eventId: actionId, type, payerAccountId, createdAt, payload };
}

// Protobuf-JSON writes int64 as a string and leaves default values out:
// https://protobuf.dev/programming-guides/json/
function common(action: Action): JsonObject {
  return {
    paymentId: action.paymentId,
    actionId: isFirst(action) ? undefined : action.actionId,
    payerAccountId: action.payerAccountId,
    payeeAccountId: action.payeeAccountId,
    amountCents: cents(action.amountCents),
    releasedCents: cents(action.releasedCents),
    currency: action.currency,
    description: action.description === '' ? undefined : action.description,
    reference: action.reference,
    metadata: action.metadata,
    batchId: action.batch?.batchId,
  };
}

function isFirst({ kind }: Action): boolean {
  return kind === 'PAYMENT' || kind === 'HOLD';
}

function accountState(entry: LedgerEntry): JsonObject {
  return {
    balanceCents: cents(entry.balanceAfterCents),
    version: entry.version.toString(),
    pendingCents: cents(entry.pendingAfterCents),
  };
}

function cents(value: bigint): string | undefined {
  return value === 0n ? undefined : value.toString();
}
