import { refusalOf } from './authorize.ts';
import type { Books, LaterDecision, Step } from './later-actions.ts';
import type { Decline, Payment } from './payment.ts';
import { MAX_ACTIONS, statusOf } from './payment-balance.ts';

/** What a refund asks for. */
export interface RefundRequest {
  /** Undefined is all that was captured and is not yet refunded. */
  readonly requestedCents: bigint | undefined;
}

/** The declines of a refund that need no look at the books, and store nothing. */
export function precheckRefund({ requestedCents }: RefundRequest): Decline | undefined {
  if (requestedCents === undefined || requestedCents > 0n) return undefined;
  return { code: 'INVALID_AMOUNT', message: 'The amount must be more than zero, or absent for all that is left.' };
}

/** Decides a prechecked refund, which the payee pays to the payer. Pure. */
export function refund(payment: Payment, books: Books, request: RefundRequest, at: Date): LaterDecision {
  const { balance } = books;
  const leftCents = balance.capturedCents - balance.refundedCents;
  const amountCents = request.requestedCents ?? leftCents;
  if (balance.capturedCents === 0n) {
    return decline(
      'AMOUNT_EXCEEDS_CAPTURED',
      `The payment is ${statusOf(payment, balance)}: nothing of it was captured.`,
    );
  }
  // All of nothing is more than there is.
  if (leftCents === 0n || amountCents > leftCents) {
    const left = `${balance.capturedCents} cents were captured and ${balance.refundedCents} of them refunded`;
    return decline('AMOUNT_EXCEEDS_CAPTURED', `The amount is more than what is left: ${left}.`);
  }
  if (balance.actions >= MAX_ACTIONS) {
    return decline('TOO_MANY_ACTIONS', `The payment has had ${MAX_ACTIONS} captures and refunds.`);
  }
  const step = payBack(books, amountCents, at);
  return refusalOf({ payer: books.payee, payee: books.payer }, { payer: step.payee, payee: step.payer }) ?? step;
}

function payBack({ balance, payer, payee }: Books, amountCents: bigint, at: Date): Step {
  return {
    amountCents,
    releasedCents: 0n,
    balance: {
      ...balance,
      refundedCents: balance.refundedCents + amountCents,
      actions: balance.actions + 1,
      updatedAt: at,
    },
    payer: { ...payer, availableCents: payer.availableCents + amountCents, version: payer.version + 1n },
    payee: { ...payee, availableCents: payee.availableCents - amountCents, version: payee.version + 1n },
  };
}

function decline(code: Decline['code'], message: string): { readonly decline: Decline } {
  return { decline: { code, message } };
}
