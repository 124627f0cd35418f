import { notFound } from '../../app/errors.ts';
import type { Asked } from '../../app/later-actions.ts';
import { accountNotAllowed, requireAccount } from '../access/accounts.ts';
import type { Caller } from '../access/caller.ts';
import { paymentIdOf } from './payment-id.ts';

/** Who asks for an action on a payment, and which of its accounts that takes: the payer's unless told otherwise. */
export function asked(
  request: { readonly paymentId: string },
  call: { readonly caller: Caller; abandoned(): boolean; deadlineMs(): number },
  by: 'payerAccountId' | 'payeeAccountId' = 'payerAccountId',
): Asked {
  return {
    paymentId: paymentIdOf(request.paymentId),
    permit: (payment) => {
      requireOwnPayment(call.caller, payment);
      requireAccount(call.caller, payment[by]);
    },
    abandoned: () => call.abandoned(),
    deadlineMs: call.deadlineMs(),
  };
}

/**
 * Throws NOT_FOUND if neither account is one of the caller's. Not PERMISSION_DENIED: that would tell that there is
 * such a payment.
 */
export function requireOwnPayment(
  { accounts }: Caller,
  { paymentId, payerAccountId, payeeAccountId }: Record<'paymentId' | 'payerAccountId' | 'payeeAccountId', string>,
  noPayment = (cause: Error) => notFound('Payment', paymentId, cause),
): void {
  if (accounts.includes(payerAccountId) || accounts.includes(payeeAccountId)) return;
  throw noPayment(accountNotAllowed(payerAccountId));
}
