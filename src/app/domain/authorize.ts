import { type Balance, postedCents } from './account.ts';
import type { Decline, PaymentRequest } from './payment.ts';

/** The range of int64: what an amount or a balance can be, in minor units. */
export const INT64_MAX = 2n ** 63n - 1n;
export const INT64_MIN = -(2n ** 63n);

/**
 * The declines that need no look at the books. They store nothing, so the
 * idempotency key stays free.
 */
export function precheck(request: PaymentRequest): Decline | undefined {
  if (request.amountCents <= 0n) {
    return { code: 'INVALID_AMOUNT', message: 'The amount must be more than zero.' };
  }
  if (request.payerAccountId === request.payeeAccountId) {
    return { code: 'SAME_ACCOUNT', message: 'Payer and payee must be two accounts.' };
  }
  return undefined;
}

/** The decline of a payer whose token bucket is empty; it stores nothing either. */
export function rateLimited(request: Pick<PaymentRequest, 'payerAccountId'>, retryAfterMs: number): Decline {
  return {
    code: 'RATE_LIMITED',
    message: `Too many payments from account ${request.payerAccountId}; retry in ${retryAfterMs} ms.`,
  };
}

/** Whether the account stands for the world outside: those alone have no limit (a CHECK sees to it). */
export function isExternal({ overdraftLimitCents }: Balance): boolean {
  return overdraftLimitCents === null;
}

/** Both balances as the payment leaves them, or why it may not happen. */
export type Decision =
  | { readonly decline: Decline }
  | { readonly decline?: never; readonly payer: Balance; readonly payee: Balance };

/**
 * Decides a prechecked request against the two balances as they are now; undefined
 * is an account that does not exist. Pure: nothing is moved here.
 */
export function authorize(request: PaymentRequest, payer: Balance | undefined, payee: Balance | undefined): Decision {
  return decideTransfer(request, payer, payee, (payer, payee) => ({
    payer: {
      ...payer,
      availableCents: payer.availableCents - request.amountCents,
      version: payer.version + 1n,
    },
    payee: {
      ...payee,
      availableCents: payee.availableCents + request.amountCents,
      version: payee.version + 1n,
    },
  }));
}

/** The same for a hold: the payer's funds go down, and what it has posted, and the payee's funds, stay as they are. */
export function hold(request: PaymentRequest, payer: Balance | undefined, payee: Balance | undefined): Decision {
  return decideTransfer(request, payer, payee, (payer, payee) => ({
    payer: {
      ...payer,
      availableCents: payer.availableCents - request.amountCents,
      pendingCents: payer.pendingCents + request.amountCents,
      version: payer.version + 1n,
    },
    payee: { ...payee, incomingCents: payee.incomingCents + request.amountCents },
  }));
}

/** Whether a balance is beyond what int64, and so a column of it, can be. */
export function outOfRange(balance: Balance): boolean {
  const { availableCents, pendingCents, incomingCents } = balance;
  const highest = [availableCents, postedCents(balance), pendingCents, incomingCents];
  return availableCents < INT64_MIN || highest.some((cents) => cents > INT64_MAX);
}

export interface Sides {
  readonly payer: Balance;
  readonly payee: Balance;
}

/** Why the one account may not pay the other, if it may not; after is how the payment would leave both. */
export function refusalOf({ payer, payee }: Sides, after: Sides): { readonly decline: Decline } | undefined {
  for (const { accountId, closed } of [payer, payee]) {
    if (closed) return decline('ACCOUNT_CLOSED', `Account ${accountId} is closed.`);
  }
  if (payer.debitsFrozen) return decline('ACCOUNT_FROZEN', `Debits of account ${payer.accountId} are frozen.`);
  if (payee.creditsFrozen) return decline('ACCOUNT_FROZEN', `Credits of account ${payee.accountId} are frozen.`);

  if (payer.overdraftLimitCents !== null && after.payer.availableCents < -payer.overdraftLimitCents) {
    return decline('INSUFFICIENT_FUNDS', 'The available funds are below the amount.');
  }
  if (outOfRange(after.payer) || outOfRange(after.payee)) {
    return decline('INVALID_AMOUNT', 'The amount would take a balance out of the range of int64.');
  }
  return undefined;
}

function decideTransfer(
  request: PaymentRequest,
  payer: Balance | undefined,
  payee: Balance | undefined,
  move: (payer: Balance, payee: Balance) => Sides,
): Decision {
  if (payer === undefined) return decline('ACCOUNT_NOT_FOUND', `There is no payer account ${request.payerAccountId}.`);
  if (payee === undefined) return decline('ACCOUNT_NOT_FOUND', `There is no payee account ${request.payeeAccountId}.`);

  for (const account of [payer, payee]) {
    if (account.currency !== request.currency) {
      return decline(
        'CURRENCY_MISMATCH',
        `Account ${account.accountId} is in ${account.currency}, the payment in ${request.currency}.`,
      );
    }
  }

  const after = move(payer, payee);
  return refusalOf({ payer, payee }, after) ?? after;
}

function decline(code: Decline['code'], message: string): { readonly decline: Decline } {
  return { decline: { code, message } };
}
