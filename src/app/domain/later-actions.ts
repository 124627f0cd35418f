import type { Balance } from './account.ts';
import { outOfRange } from './authorize.ts';
import type { Decline, Payment } from './payment.ts';
import { MAX_ACTIONS, type PaymentBalance, statusOf } from './payment-balance.ts';

/** A payment and its two accounts, as they are now or as an action leaves them. */
export interface Books {
  readonly balance: PaymentBalance;
  readonly payer: Balance;
  readonly payee: Balance;
}

/** What an action moves, and all that it concerns as it leaves it. */
export interface Step extends Books {
  readonly decline?: never;
  readonly amountCents: bigint;
  readonly releasedCents: bigint;
}

/** A step, or why it may not be. */
export type LaterDecision = Step | { readonly decline: Decline };

/** What a capture asks for. */
export interface CaptureRequest {
  /** Undefined is all that is held. */
  readonly requestedCents: bigint | undefined;
  readonly keepRemainder: boolean;
}

/** The declines of a capture that need no look at the books, and store nothing. */
export function precheckCapture({ requestedCents }: Pick<CaptureRequest, 'requestedCents'>): Decline | undefined {
  if (requestedCents === undefined || requestedCents > 0n) return undefined;
  return { code: 'INVALID_AMOUNT', message: 'The amount must be more than zero, or absent for all that is held.' };
}

/** Decides a prechecked capture of what is on hold now. What is over must have been released before. Pure. */
export function capture(payment: Payment, books: Books, request: CaptureRequest, at: Date): LaterDecision {
  const { balance } = books;
  const status = statusOf(payment, balance);
  if (status === 'EXPIRED') return decline('PAYMENT_EXPIRED', 'The time of the hold is over.');
  if (status !== 'HELD') return notHeld(status);

  const amountCents = request.requestedCents ?? balance.heldCents;
  if (amountCents > balance.heldCents) {
    return decline('AMOUNT_EXCEEDS_HELD', `The amount is more than the ${balance.heldCents} cents on hold.`);
  }
  if (balance.actions >= MAX_ACTIONS) {
    return decline('TOO_MANY_ACTIONS', `The payment has had ${MAX_ACTIONS} captures and refunds.`);
  }
  const releasedCents = request.keepRemainder ? 0n : balance.heldCents - amountCents;
  const step = settle(books, { amountCents, releasedCents }, at);
  if (outOfRange(step.payee)) {
    return decline('INVALID_AMOUNT', 'The amount would take a balance out of the range of int64.');
  }
  return step;
}

/** Decides a void, which releases all that is on hold now. What is over must have been released before. Pure. */
export function voidHold(payment: Payment, books: Books, at: Date): LaterDecision {
  const status = statusOf(payment, books.balance);
  return status === 'HELD' ? release(books, at) : notHeld(status);
}

/** Releases all that is on hold. */
export function release(books: Books, at: Date): Step {
  return settle(books, { amountCents: 0n, releasedCents: books.balance.heldCents }, at);
}

/** Takes what moves and what is released off what is on hold. */
function settle({ balance, payer, payee }: Books, moved: Pick<Step, 'amountCents' | 'releasedCents'>, at: Date): Step {
  const { amountCents, releasedCents } = moved;
  const offHoldCents = amountCents + releasedCents;
  const captures = amountCents > 0n;
  return {
    ...moved,
    balance: {
      ...balance,
      heldCents: balance.heldCents - offHoldCents,
      capturedCents: balance.capturedCents + amountCents,
      releasedCents: balance.releasedCents + releasedCents,
      actions: balance.actions + (captures ? 1 : 0),
      updatedAt: at,
    },
    payer: {
      ...payer,
      availableCents: payer.availableCents + releasedCents,
      pendingCents: payer.pendingCents - offHoldCents,
      version: payer.version + 1n,
    },
    payee: {
      ...payee,
      availableCents: payee.availableCents + amountCents,
      incomingCents: payee.incomingCents - offHoldCents,
      version: payee.version + (captures ? 1n : 0n),
    },
  };
}

function notHeld(status: string): { readonly decline: Decline } {
  return decline('PAYMENT_NOT_HELD', `The payment is ${status}: nothing of it is on hold.`);
}

function decline(code: Decline['code'], message: string): { readonly decline: Decline } {
  return { decline: { code, message } };
}
