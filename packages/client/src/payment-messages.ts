import {
  type Payment,
  type PaymentAction,
  PaymentActionType,
  type PaymentError,
  PaymentStatus,
} from '../../../src/gen/payment/v1/payment.ts';
import type { DeclineCode } from './errors.ts';
import { declineCode, nameOf } from './names.ts';

/** The caller's own: what the service keeps and shows, and does not read. */
interface Notes {
  readonly description?: string;
  readonly reference?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** What to pay. A repeated call must have the same values; only the description may differ. */
export interface PaymentRequest extends Notes {
  /** One for each payment, stored before the call: newIdempotencyKey() makes one. */
  readonly idempotencyKey: string;
  readonly payerAccountId: string;
  readonly payeeAccountId: string;
  /** In minor units of the currency. */
  readonly amountCents: bigint;
  /** ISO 4217, as of both accounts. */
  readonly currency: string;
}

/** What to hold; otherwise as a PaymentRequest. */
export interface HoldRequest extends PaymentRequest {
  /** How long, from when it is decided: a whole number, at most 31 days. Seven days unless told otherwise. */
  readonly ttlMs?: number;
}

/** What to do with a payment. A repeated call must have the same values; only the description may differ. */
export interface VoidRequest extends Notes {
  /** One for each action, stored before the call, and not the payment's: newIdempotencyKey() makes one. */
  readonly idempotencyKey: string;
  readonly paymentId: string;
}

export interface CaptureRequest extends VoidRequest {
  /** All that is held unless told otherwise. */
  readonly amountCents?: bigint;
  /** Keep what this capture leaves on hold, instead of releasing it. */
  readonly keepRemainder?: boolean;
}

export interface RefundRequest extends VoidRequest {
  /** All that was captured and is not refunded unless told otherwise. */
  readonly amountCents?: bigint;
}

/** The money has moved. */
export interface AuthorizedPayment {
  readonly paymentId: string;
  /** RFC 3339. */
  readonly processedAt: string;
  /** True if an earlier call with this key moved it, and not this one. */
  readonly duplicate: boolean;
}

/** It is done. */
export interface CompletedAction {
  readonly action: StoredAction;
  /** As it is now, which after a duplicate may be otherwise than the action left it. */
  readonly payment: StoredPayment;
  /** True if an earlier call with this key did it, and not this one. */
  readonly duplicate: boolean;
}

export interface Decline {
  readonly code: DeclineCode;
  readonly message: string;
}

/** A payment as the service keeps it. Status is another string where the service is newer. */
export interface StoredPayment {
  readonly paymentId: string;
  readonly status: 'AUTHORIZED' | 'DECLINED' | 'HELD' | 'CAPTURED' | 'VOIDED' | 'EXPIRED' | (string & {});
  readonly payerAccountId: string;
  readonly payeeAccountId: string;
  readonly amountCents: bigint;
  readonly currency: string;
  /** What has moved to the payee; what was refunded is not taken off. */
  readonly capturedCents: bigint;
  /** What is on hold now. */
  readonly heldCents: bigint;
  /** What was held and is the payer's again. */
  readonly releasedCents: bigint;
  readonly refundedCents: bigint;
  /** When what is on hold will be, or was to be, released, RFC 3339. Undefined if the payment was never held. */
  readonly expiresAt: string | undefined;
  readonly description: string;
  readonly reference: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** RFC 3339. */
  readonly createdAt: string;
  /** Of the last action that changed the payment, RFC 3339. */
  readonly updatedAt: string;
  /** The batch that made it. Undefined if it was made alone. */
  readonly batchId: string | undefined;
  /** Why it was declined, if it was. */
  readonly decline: Decline | undefined;
}

/** One step in the life of a payment. Actions never change. */
export interface StoredAction {
  /** The first action's is the payment's id. */
  readonly actionId: string;
  readonly paymentId: string;
  readonly type: 'PAYMENT' | 'HOLD' | 'CAPTURE' | 'VOID' | 'EXPIRY' | 'REFUND' | (string & {});
  /** What was paid, held, captured or refunded, or asked for if it was declined. */
  readonly amountCents: bigint;
  /** What went back to the payer's funds. */
  readonly releasedCents: bigint;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly description: string;
  readonly reference: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** The batch that it is an item of, also of one that it declined. Undefined if it came alone. */
  readonly batchId: string | undefined;
  /** Why it was declined, if it was: then it changed nothing. */
  readonly decline: Decline | undefined;
}

export function toStoredPayment(payment: Payment): StoredPayment {
  return {
    paymentId: payment.paymentId,
    status: nameOf(PaymentStatus, 'PAYMENT_STATUS_', payment.status),
    payerAccountId: payment.payerAccountId,
    payeeAccountId: payment.payeeAccountId,
    amountCents: payment.amountCents,
    currency: payment.currency,
    capturedCents: payment.capturedCents,
    heldCents: payment.heldCents,
    releasedCents: payment.releasedCents,
    refundedCents: payment.refundedCents,
    expiresAt: payment.expiresAt === '' ? undefined : payment.expiresAt,
    description: payment.description,
    reference: payment.reference,
    metadata: payment.metadata,
    createdAt: payment.createdAt,
    updatedAt: payment.updatedAt,
    batchId: payment.batchId === '' ? undefined : payment.batchId,
    decline: toDecline(payment.error),
  };
}

export function toStoredAction(action: PaymentAction): StoredAction {
  return {
    actionId: action.actionId,
    paymentId: action.paymentId,
    type: nameOf(PaymentActionType, 'PAYMENT_ACTION_TYPE_', action.type),
    amountCents: action.amountCents,
    releasedCents: action.releasedCents,
    createdAt: action.createdAt,
    description: action.description,
    reference: action.reference,
    metadata: action.metadata,
    batchId: action.batchId === '' ? undefined : action.batchId,
    decline: toDecline(action.error),
  };
}

function toDecline(error: PaymentError | undefined): Decline | undefined {
  return error && { code: declineCode(error.code), message: error.message };
}
