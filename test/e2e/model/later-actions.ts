import { AccountEntryType } from '../../../src/gen/payment/v1/account.ts';
import { PaymentAction, PaymentActionType } from '../../../src/gen/payment/v1/payment.ts';
import type { Books, Code, Payment, Told } from './books.ts';
import { addEntry, move } from './entries.ts';
import { declineOfPaying, isInt64 } from './first-actions.ts';
import type { LaterRequest } from './requests.ts';

const MOST_MOVES = 100;

export function declineOfLater(books: Books, { method, request }: LaterRequest): Code | undefined {
  const payment = books.payments.get(request.paymentId)!;
  const { heldCents, capturedCents, refundedCents, expired } = payment;
  switch (method) {
    case 'CAPTURE': {
      if (expired && capturedCents === 0n) return 'PAYMENT_EXPIRED';
      if (heldCents === 0n) return 'PAYMENT_NOT_HELD';
      const cents = request.amountCents ?? heldCents;
      if (cents > heldCents) return 'AMOUNT_EXCEEDS_HELD';
      if (movesOf(payment) >= MOST_MOVES) return 'TOO_MANY_ACTIONS';
      return isInt64(accountsOf(books, payment).payee.postedCents + cents) ? undefined : 'INVALID_AMOUNT';
    }
    case 'VOID':
      return heldCents === 0n ? 'PAYMENT_NOT_HELD' : undefined;
    case 'REFUND': {
      const leftCents = capturedCents - refundedCents;
      const cents = request.amountCents ?? leftCents;
      if (leftCents === 0n || cents > leftCents) return 'AMOUNT_EXCEEDS_CAPTURED';
      if (movesOf(payment) >= MOST_MOVES) return 'TOO_MANY_ACTIONS';
      const { payer, payee } = accountsOf(books, payment);
      return declineOfPaying(payee, payer, cents);
    }
  }
}

/** Adds the action to its payment, and says in it what it moves and releases. */
export function storeLater(books: Books, { method, request }: LaterRequest, action: PaymentAction): Payment {
  const payment = books.payments.get(request.paymentId)!;
  payment.actions.push(action);
  if (action.error !== undefined) return payment;

  payment.updatedAt = action.createdAt;
  switch (method) {
    case 'CAPTURE':
      action.amountCents = request.amountCents ?? payment.heldCents;
      action.releasedCents = request.keepRemainder ? 0n : payment.heldCents - action.amountCents;
      takeOffHold(books, payment, action);
      break;
    case 'VOID':
      action.releasedCents = payment.heldCents;
      takeOffHold(books, payment, action);
      break;
    case 'REFUND': {
      action.amountCents = request.amountCents ?? payment.capturedCents - payment.refundedCents;
      payment.refundedCents += action.amountCents;
      const { payer, payee } = accountsOf(books, payment);
      move(payee, payer, action);
      break;
    }
  }
  return payment;
}

/** The end of a hold's time, which the service notices by itself; told is its action as it is listed. */
export function expire(books: Books, payment: Payment, { actionId, at }: Omit<Told, 'rateLimited'>): void {
  if (at < payment.expiresAt) throw new Error(`${payment.paymentId} expired at ${at}, before its time`);
  const action = PaymentAction.fromPartial({
    actionId,
    paymentId: payment.paymentId,
    type: PaymentActionType.PAYMENT_ACTION_TYPE_EXPIRY,
    releasedCents: payment.heldCents,
    createdAt: at,
  });
  takeOffHold(books, payment, action);
  payment.actions.push(action);
  payment.updatedAt = at;
  payment.expired = true;
}

function takeOffHold(books: Books, payment: Payment, action: PaymentAction): void {
  const { amountCents, releasedCents } = action;
  const { payer, payee } = accountsOf(books, payment);
  payment.heldCents -= amountCents + releasedCents;
  payment.capturedCents += amountCents;
  payment.releasedCents += releasedCents;
  payer.pendingCents -= amountCents + releasedCents;
  payee.incomingCents -= amountCents + releasedCents;
  if (amountCents > 0n) move(payer, payee, action);
  else addEntry(payer, AccountEntryType.ACCOUNT_ENTRY_TYPE_RELEASE, action, payee);
}

/** A payment of which something was held or captured has both. */
function accountsOf(books: Books, { payerAccountId, payeeAccountId }: Payment) {
  return { payer: books.accounts.get(payerAccountId)!, payee: books.accounts.get(payeeAccountId)! };
}

/** Captures and refunds that were taken. */
function movesOf({ actions }: Payment): number {
  return actions.filter(({ error, amountCents }, index) => index > 0 && error === undefined && amountCents > 0n).length;
}
