import { type AccountEntry, AccountType } from '../../../src/gen/payment/v1/account.ts';
import {
  type ExecutePaymentBatchResponse,
  type PaymentAction,
  type PaymentError,
  PaymentErrorCode,
  Payment as PaymentMessage,
  PaymentStatus,
} from '../../../src/gen/payment/v1/payment.ts';

import type { Identity } from './requests.ts';

// The whole ledger in memory, one call at a time: what the service must agree with. It is
// written from the contract and docs/, and shares nothing with src but the messages.

/** An account and all that it says of itself. */
export interface Account {
  readonly accountId: string;
  readonly currency: string;
  readonly type: AccountType;
  readonly openedAt: string;
  readonly openedWithLimitCents: bigint;
  /** 0 of an EXTERNAL account, which has none. */
  limitCents: bigint;
  debitsFrozen: boolean;
  creditsFrozen: boolean;
  closed: boolean;
  metadata: Record<string, string>;
  /** All it has had, the last one first. Only the service knows what comes next. */
  readonly etags: string[];
  lastChange: 'OPEN' | 'UPDATE' | 'FREEZE' | 'UNFREEZE' | 'CLOSE';
  postedCents: bigint;
  /** What it has on hold for others, and others for it. */
  pendingCents: bigint;
  incomingCents: bigint;
  readonly entries: AccountEntry[];
}

export interface Payment {
  readonly paymentId: string;
  readonly payerAccountId: string;
  readonly payeeAccountId: string;
  readonly amountCents: bigint;
  readonly currency: string;
  readonly notes: Notes;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly isHold: boolean;
  /** That made it; empty if it came alone. */
  readonly batchId: string;
  readonly error: PaymentError | undefined;
  updatedAt: string;
  heldCents: bigint;
  capturedCents: bigint;
  releasedCents: bigint;
  refundedCents: bigint;
  expired: boolean;
  readonly actions: PaymentAction[];
}

export interface Notes {
  readonly description: string;
  readonly reference: string;
  readonly metadata: Record<string, string>;
}

/** What an idempotency key was used for. */
export interface UsedKey {
  readonly identity: Identity;
  readonly action: PaymentAction;
  readonly payment: Payment;
  /** Its answer, if it was used for one; payments change. */
  readonly batch?: ExecutePaymentBatchResponse;
}

export interface Books {
  readonly accounts: Map<string, Account>;
  /** In the order in which they were made. */
  readonly payments: Map<string, Payment>;
  readonly keys: Map<string, UsedKey>;
  /** Tokens that were taken, by the account that pays. */
  readonly tokens: Map<string, number>;
  /** What a bucket has at least before a call may be RATE_LIMITED. */
  readonly bucketCapacity: number;
}

/** What the service alone can say of a decision, read off its answer. */
export interface Told {
  readonly actionId: string;
  readonly at: string;
  /** That the bucket of the account that pays is empty: by the clock, which the model has not. */
  readonly rateLimited: boolean;
  /** Of an item of a batch. */
  readonly batchId?: string;
}

export type Outcome<Answer> = { readonly answer: Answer } | { readonly error: CallError };

export interface CallError {
  /** The name of the gRPC status. */
  readonly status: string;
  readonly reason: string;
  /** In alphabetical order. */
  readonly fields: readonly string[];
}

export function failed(status: string, reason: string, fields: readonly string[] = []): { readonly error: CallError } {
  return { error: { status, reason, fields: [...fields].sort() } };
}

export const noSuch = () => failed('NOT_FOUND', 'NOT_FOUND');

export type Code = keyof typeof CODES;
export const CODES = {
  INSUFFICIENT_FUNDS: PaymentErrorCode.PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS,
  ACCOUNT_NOT_FOUND: PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_NOT_FOUND,
  INVALID_AMOUNT: PaymentErrorCode.PAYMENT_ERROR_CODE_INVALID_AMOUNT,
  SAME_ACCOUNT: PaymentErrorCode.PAYMENT_ERROR_CODE_SAME_ACCOUNT,
  CURRENCY_MISMATCH: PaymentErrorCode.PAYMENT_ERROR_CODE_CURRENCY_MISMATCH,
  RATE_LIMITED: PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED,
  PAYMENT_NOT_HELD: PaymentErrorCode.PAYMENT_ERROR_CODE_PAYMENT_NOT_HELD,
  PAYMENT_EXPIRED: PaymentErrorCode.PAYMENT_ERROR_CODE_PAYMENT_EXPIRED,
  AMOUNT_EXCEEDS_HELD: PaymentErrorCode.PAYMENT_ERROR_CODE_AMOUNT_EXCEEDS_HELD,
  AMOUNT_EXCEEDS_CAPTURED: PaymentErrorCode.PAYMENT_ERROR_CODE_AMOUNT_EXCEEDS_CAPTURED,
  ACCOUNT_FROZEN: PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_FROZEN,
  ACCOUNT_CLOSED: PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_CLOSED,
  TOO_MANY_ACTIONS: PaymentErrorCode.PAYMENT_ERROR_CODE_TOO_MANY_ACTIONS,
} as const;

/** Messages are for people, so none is expected. */
export function errorOf(code: Code): PaymentError {
  return { code: CODES[code], message: '', retryAfterMs: 0n };
}

export function statusOf(payment: Payment): PaymentStatus {
  if (payment.error !== undefined) return PaymentStatus.PAYMENT_STATUS_DECLINED;
  if (!payment.isHold) return PaymentStatus.PAYMENT_STATUS_AUTHORIZED;
  if (payment.heldCents > 0n) return PaymentStatus.PAYMENT_STATUS_HELD;
  if (payment.capturedCents > 0n) return PaymentStatus.PAYMENT_STATUS_CAPTURED;
  return payment.expired ? PaymentStatus.PAYMENT_STATUS_EXPIRED : PaymentStatus.PAYMENT_STATUS_VOIDED;
}

export function availableOf({ postedCents, pendingCents }: Account): bigint {
  return postedCents - pendingCents;
}

export function messageOf(payment: Payment): PaymentMessage {
  const { notes, isHold, expired, actions, ...same } = payment;
  return PaymentMessage.fromPartial({ ...same, ...notes, status: statusOf(payment) });
}

/** An EXTERNAL account may go below zero without limit. */
export const isExternal = ({ type }: Account) => type === AccountType.ACCOUNT_TYPE_EXTERNAL;
