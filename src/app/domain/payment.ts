/** Why a payment, or a later action on it, is declined: the names of PaymentErrorCode without their prefix. */
export type DeclineCode =
  | 'INSUFFICIENT_FUNDS'
  | 'ACCOUNT_NOT_FOUND'
  | 'INVALID_AMOUNT'
  | 'SAME_ACCOUNT'
  | 'CURRENCY_MISMATCH'
  | 'RATE_LIMITED'
  | 'ACCOUNT_FROZEN'
  | 'ACCOUNT_CLOSED'
  | 'PAYMENT_NOT_HELD'
  | 'PAYMENT_EXPIRED'
  | 'AMOUNT_EXCEEDS_HELD'
  | 'AMOUNT_EXCEEDS_CAPTURED'
  | 'TOO_MANY_ACTIONS';

export interface Decline {
  readonly code: DeclineCode;
  /** A sentence for people. */
  readonly message: string;
}

/** What a caller notes on an action. */
export interface Notes {
  readonly description: string;
  /** What the action is for in the caller's own books; undefined if it named nothing. */
  readonly reference?: string | undefined;
  /** The caller's own notes, one at least; undefined if it has none. */
  readonly metadata?: Metadata | undefined;
}

/** What a caller asks for. */
export interface PaymentRequest extends Notes {
  readonly payerAccountId: string;
  readonly payeeAccountId: string;
  /** Minor units of currency. */
  readonly amountCents: bigint;
  readonly currency: string;
}

export type Metadata = { readonly [key: string]: string };

/** One step in the life of a payment, as it is stored: decided once, never changed. */
export interface Action extends PaymentRequest {
  /** A ULID: 26 characters. The first action's is the payment's id. */
  readonly actionId: string;
  readonly paymentId: string;
  readonly kind: 'PAYMENT' | 'HOLD' | LaterKind;
  /** What went back to the payer's funds. */
  readonly releasedCents: bigint;
  readonly createdAt: Date;
  readonly verdict: Verdict;
  /** When a hold's time is over. */
  readonly expiresAt?: Date | undefined;
  /** What a capture or a refund asked for; undefined is all there is. */
  readonly requestedCents?: bigint | undefined;
  /** Whether a capture asked to keep on hold what it leaves. */
  readonly keepRemainder?: boolean | undefined;
  /** Undefined if it came alone. */
  readonly batch?: BatchPart | undefined;
}

/** What makes an action an item of an atomic batch. */
export interface BatchPart {
  /** The action id of the first item; of a declined batch, of the item that declined it. */
  readonly batchId: string;
  /** Which item it is, the first being 0. */
  readonly item: number;
  /** What was asked for as a whole; with the action that has the batch's id. */
  readonly whole?: BatchWhole | undefined;
}

export interface BatchWhole {
  /** Equal for two batches that ask for the same: hexadecimal. */
  readonly digest: string;
  /** Of all items in their order, where the batch is to be written; undefined if it was declined. */
  readonly actionIds?: readonly string[];
}

/** What follows on a payment. */
export type LaterKind = 'CAPTURE' | 'VOID' | 'EXPIRY' | 'REFUND';

/** The first action of a payment, with what never changes of it. */
export interface Payment extends Action {
  readonly kind: 'PAYMENT' | 'HOLD';
}

export type Verdict =
  | {
      readonly status: 'AUTHORIZED';
      readonly payerVersion: bigint;
      /** Undefined if the payee has no ledger entry of it: of a hold, a void or an expiry. */
      readonly payeeVersion: bigint | undefined;
    }
  | { readonly status: 'DECLINED'; readonly decline: Decline };

/** Metadata has no order. */
export function isSameMetadata(one: Metadata = {}, other: Metadata = {}): boolean {
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}
