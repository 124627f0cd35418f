import { AccountEntryType } from '../../../src/gen/payment/v1/account.ts';
import type { PaymentAction } from '../../../src/gen/payment/v1/payment.ts';
import { type Account, availableOf, type Books, type Code, isExternal, type Payment } from './books.ts';
import { addEntry, move } from './entries.ts';
import { type FirstRequest, ttlMs } from './requests.ts';

export function declineOfFirst(books: Books, { method, request }: FirstRequest): Code | undefined {
  const payer = books.accounts.get(request.payerAccountId);
  const payee = books.accounts.get(request.payeeAccountId);
  if (payer === undefined || payee === undefined) return 'ACCOUNT_NOT_FOUND';
  if (payer.currency !== request.currency || payee.currency !== request.currency) return 'CURRENCY_MISMATCH';
  return declineOfPaying(payer, payee, request.amountCents, method === 'HOLD');
}

/** Why the one account may not pay the other, or set aside for it. */
export function declineOfPaying(payer: Account, payee: Account, cents: bigint, isHold = false): Code | undefined {
  if (payer.closed || payee.closed) return 'ACCOUNT_CLOSED';
  if (payer.debitsFrozen || payee.creditsFrozen) return 'ACCOUNT_FROZEN';
  if (!isExternal(payer) && cents > availableOf(payer) + payer.limitCents) return 'INSUFFICIENT_FUNDS';
  const after = isHold
    ? [availableOf(payer) - cents, payer.pendingCents + cents, payee.incomingCents + cents]
    : [payer.postedCents - cents, availableOf(payer) - cents, payee.postedCents + cents];
  return after.every(isInt64) ? undefined : 'INVALID_AMOUNT';
}

export function isInt64(cents: bigint): boolean {
  return BigInt.asIntN(64, cents) === cents;
}

/** Makes the payment, with what the action says of it. */
export function storeFirst(books: Books, asked: FirstRequest, action: PaymentAction): Payment {
  const { payerAccountId, payeeAccountId, amountCents, currency, description, reference, metadata } = asked.request;
  const { paymentId, createdAt, error, batchId } = action;
  const isHold = asked.method === 'HOLD';
  const takenCents = error === undefined ? amountCents : 0n;
  const payment: Payment = {
    paymentId,
    payerAccountId,
    payeeAccountId,
    amountCents,
    currency,
    notes: { description, reference, metadata },
    createdAt,
    expiresAt: isHold && !error ? new Date(Date.parse(createdAt) + ttlMs(asked.request)).toISOString() : '',
    isHold,
    batchId,
    error,
    updatedAt: createdAt,
    heldCents: isHold ? takenCents : 0n,
    capturedCents: isHold ? 0n : takenCents,
    releasedCents: 0n,
    refundedCents: 0n,
    expired: false,
    actions: [action],
  };
  books.payments.set(paymentId, payment);
  if (error !== undefined) return payment;

  const [payer, payee] = [books.accounts.get(payerAccountId)!, books.accounts.get(payeeAccountId)!];
  if (isHold) {
    payer.pendingCents += amountCents;
    payee.incomingCents += amountCents;
    addEntry(payer, AccountEntryType.ACCOUNT_ENTRY_TYPE_HOLD, action, payee);
  } else {
    move(payer, payee, action);
  }
  return payment;
}
