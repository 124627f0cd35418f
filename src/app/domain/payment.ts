/** Why a payment is declined: the names of PaymentErrorCode without their prefix. */
export type DeclineCode =
  | 'INSUFFICIENT_FUNDS'
  | 'ACCOUNT_NOT_FOUND'
  | 'INVALID_AMOUNT'
  | 'SAME_ACCOUNT'
  | 'CURRENCY_MISMATCH'
  | 'RATE_LIMITED'
  | 'ACCOUNT_FROZEN'
  | 'ACCOUNT_CLOSED';

export interface Decline {
  readonly code: DeclineCode;
  /** A sentence for people. */
  readonly message: string;
}

/** What a caller asks for. */
export interface PaymentRequest {
  readonly payerAccountId: string;
  readonly payeeAccountId: string;
  /** Minor units of currency. */
  readonly amountCents: bigint;
  readonly currency: string;
  readonly description: string;
  /** What the payment is for in the caller's own books; undefined if it named nothing. */
  readonly reference?: string | undefined;
  /** The caller's own notes, one at least; undefined if it has none. */
  readonly metadata?: Metadata | undefined;
}

export type Metadata = { readonly [key: string]: string };

/** A payment as it is stored: decided once, never changed. */
export interface Payment extends PaymentRequest {
  /** A ULID: 26 characters. */
  readonly paymentId: string;
  readonly createdAt: Date;
  readonly verdict: Verdict;
}

export type Verdict =
  | { readonly status: 'AUTHORIZED'; readonly payerVersion: bigint; readonly payeeVersion: bigint }
  | { readonly status: 'DECLINED'; readonly decline: Decline };

/** The fields that make two requests with one idempotency key the same payment. */
const identity = ['payerAccountId', 'payeeAccountId', 'amountCents', 'currency', 'reference', 'metadata'] as const;

export type IdentityField = (typeof identity)[number];

/** The identity fields in which the requests differ; empty if they ask for the same payment. */
export function differingFields(one: PaymentRequest, other: PaymentRequest): IdentityField[] {
  return identity.filter((field) =>
    field === 'metadata' ? !isSameMetadata(one.metadata, other.metadata) : one[field] !== other[field],
  );
}

/** Metadata has no order. */
export function isSameMetadata(one: Metadata = {}, other: Metadata = {}): boolean {
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}
