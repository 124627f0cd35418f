import {
  type AuthorizePaymentResponse,
  type HoldPaymentResponse,
  PaymentAction,
  PaymentActionType,
  PaymentStatus,
} from '../../../src/gen/payment/v1/payment.ts';
import {
  type Books,
  type Code,
  errorOf,
  failed,
  isExternal,
  messageOf,
  noSuch,
  type Outcome,
  type Payment,
  type Told,
} from './books.ts';
import { declineOfFirst, storeFirst } from './first-actions.ts';
import { declineOfLater, storeLater } from './later-actions.ts';
import { differingFields, identityOf, isLater, type MoneyRequest } from './requests.ts';

// What the five methods that move money have in common.

/** What became of a request. */
export interface Moved {
  readonly action: PaymentAction;
  /** As it is now; undefined if nothing was stored of it. */
  readonly payment: Payment | undefined;
  readonly replayed: boolean;
}

export function moveMoney(books: Books, asked: MoneyRequest, told: Told): Outcome<Moved> {
  const known = isLater(asked) ? books.payments.get(asked.request.paymentId) : undefined;
  if (isLater(asked) && known === undefined) return noSuch();

  const notStored = declineAtOnce(asked) ?? (isLimited(books, asked, told) ? 'RATE_LIMITED' : undefined);
  if (notStored !== undefined) {
    const action = { ...actionOf(asked, { ...told, actionId: '' }, notStored), paymentId: known?.paymentId ?? '' };
    return { answer: { action, payment: known, replayed: false } };
  }

  const { idempotencyKey } = asked.request;
  const identity = identityOf(asked);
  const used = books.keys.get(idempotencyKey);
  if (used !== undefined) {
    const differing = differingFields(identity, used.identity);
    if (differing.length > 0) return failed('ALREADY_EXISTS', 'IDEMPOTENCY_KEY_REUSED', differing);
    return { answer: { action: used.action, payment: used.payment, replayed: true } };
  }

  const stored = store(books, asked, told, declineOf(books, asked));
  books.keys.set(idempotencyKey, { identity, ...stored });
  return { answer: { ...stored, replayed: false } };
}

export function authorizeResponse({ action, replayed }: Moved): AuthorizePaymentResponse {
  const { paymentId, error, createdAt } = action;
  const decided = error === undefined ? PaymentStatus.PAYMENT_STATUS_AUTHORIZED : PaymentStatus.PAYMENT_STATUS_DECLINED;
  return {
    paymentId,
    status: replayed ? PaymentStatus.PAYMENT_STATUS_DUPLICATE : decided,
    error,
    processedAt: createdAt,
    originalStatus: replayed ? decided : PaymentStatus.PAYMENT_STATUS_UNSPECIFIED,
  };
}

/** What the other four methods answer. */
export function actionResponse({ action, payment, replayed }: Moved): HoldPaymentResponse {
  return { action, payment: payment && messageOf(payment), replayed };
}

/** The declines that need no look at the books. */
export function declineAtOnce(asked: MoneyRequest): Code | undefined {
  const amountCents = 'amountCents' in asked.request ? asked.request.amountCents : undefined;
  if (amountCents !== undefined && amountCents <= 0n) return 'INVALID_AMOUNT';
  if (!isLater(asked) && asked.request.payerAccountId === asked.request.payeeAccountId) return 'SAME_ACCOUNT';
  return undefined;
}

/** Takes a token of the account that pays, and says whether it may have got none: only the clock knows. */
function isLimited(books: Books, asked: MoneyRequest, told: Told): boolean {
  const accountId = payingAccountOf(books, asked);
  if (accountId === undefined) return false;
  if (told.rateLimited && mayLack(books, accountId, 1)) return true;
  takeTokens(books, accountId, 1);
  return false;
}

/** Whether the bucket may have fewer tokens. */
export function mayLack(books: Books, accountId: string, tokens: number): boolean {
  const account = books.accounts.get(accountId);
  if (account !== undefined && isExternal(account)) return false;
  return (books.tokens.get(accountId) ?? 0) + tokens > books.bucketCapacity;
}

export function takeTokens(books: Books, accountId: string, tokens: number): void {
  books.tokens.set(accountId, (books.tokens.get(accountId) ?? 0) + tokens);
}

/** Captures and voids take no token. */
export function payingAccountOf(books: Books, asked: MoneyRequest): string | undefined {
  if (!isLater(asked)) return asked.request.payerAccountId;
  return asked.method === 'REFUND' ? books.payments.get(asked.request.paymentId)!.payeeAccountId : undefined;
}

/** Why the books as they are forbid it, if they do. */
export function declineOf(books: Books, asked: MoneyRequest): Code | undefined {
  return isLater(asked) ? declineOfLater(books, asked) : declineOfFirst(books, asked);
}

/** Does it, or writes down that it was declined. */
export function store(books: Books, asked: MoneyRequest, told: Told, code: Code | undefined) {
  const action = actionOf(asked, told, code);
  const payment = isLater(asked) ? storeLater(books, asked, action) : storeFirst(books, asked, action);
  return { action, payment };
}

const TYPES = {
  AUTHORIZE: PaymentActionType.PAYMENT_ACTION_TYPE_PAYMENT,
  HOLD: PaymentActionType.PAYMENT_ACTION_TYPE_HOLD,
  CAPTURE: PaymentActionType.PAYMENT_ACTION_TYPE_CAPTURE,
  VOID: PaymentActionType.PAYMENT_ACTION_TYPE_VOID,
  REFUND: PaymentActionType.PAYMENT_ACTION_TYPE_REFUND,
} as const;

/** With the amount that was asked for, 0 if none was. */
function actionOf(asked: MoneyRequest, { actionId, at, batchId = '' }: Told, code: Code | undefined): PaymentAction {
  const { description, reference, metadata } = asked.request;
  return PaymentAction.fromPartial({
    actionId,
    paymentId: isLater(asked) ? asked.request.paymentId : actionId,
    type: TYPES[asked.method],
    amountCents: ('amountCents' in asked.request && asked.request.amountCents) || 0n,
    createdAt: at,
    description,
    reference,
    metadata,
    batchId,
    ...(code === undefined ? {} : { error: errorOf(code) }),
  });
}
