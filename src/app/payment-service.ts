import type { Admission } from './admission.ts';
import type { AuthorizeCommand, CallerKey, HoldCommand, PaymentCommand } from './commands.ts';
import type { Outcome } from './decide-payments.ts';
import type { Account, Balance } from './domain/account.ts';
import { precheck, rateLimited } from './domain/authorize.ts';
import type { Action, Decline, Payment } from './domain/payment.ts';
import { type CurrentPayment, firstBalance } from './domain/payment-balance.ts';
import { noPaymentWithKey, notFound, ServiceError } from './errors.ts';
import type { ExternalPayers } from './external-payers.ts';
import type { GroupCommit } from './group-commit.ts';
import type { KeyedPayment, Ledger, RateLimiter } from './ports.ts';

export type AuthorizeRequest = Omit<AuthorizeCommand, 'actionId'>;
export type HoldRequest = Omit<HoldCommand, 'actionId'>;

/** Declined with nothing stored: the key is still free. */
export interface NotStored {
  readonly kind: 'NOT_STORED';
  readonly decline: Decline;
  readonly retryAfterMs: number;
  readonly at: Date;
}

export type AuthorizeResult = { readonly kind: 'DECIDED' | 'DUPLICATE'; readonly action: Action } | NotStored;

/** An action, the first one's if the key was used before, and the payment as it is now. */
export interface Stored {
  readonly kind: 'DECIDED' | 'DUPLICATE';
  readonly action: Action;
  readonly payment: CurrentPayment;
}

/** Authorizing and holding payments, and reading them back. */
export class Payments {
  readonly #groupCommit: Pick<GroupCommit<PaymentCommand, Outcome>, 'submit'>;
  readonly #limiter: RateLimiter;
  readonly #ledger: Ledger;
  readonly #reads: Admission;
  readonly #newId: () => string;
  readonly #externalPayers: ExternalPayers;

  /** newId makes ULIDs. */
  constructor(
    groupCommit: Pick<GroupCommit<PaymentCommand, Outcome>, 'submit'>,
    limiter: RateLimiter,
    ledger: Ledger,
    reads: Admission,
    newId: () => string,
    externalPayers: ExternalPayers,
  ) {
    this.#groupCommit = groupCommit;
    this.#limiter = limiter;
    this.#ledger = ledger;
    this.#reads = reads;
    this.#newId = newId;
    this.#externalPayers = externalPayers;
  }

  /**
   * Resolves when the payment is committed, or declined with nothing stored.
   * Throws ServiceError KEY_REUSED, PERMISSION_DENIED with nothing stored, and those of GroupCommit.submit.
   */
  authorize(request: AuthorizeRequest, abandoned: () => boolean, deadlineMs: number): Promise<AuthorizeResult> {
    return this.#submit(request, abandoned, deadlineMs);
  }

  /** The same for a hold. */
  async hold(request: HoldRequest, abandoned: () => boolean, deadlineMs: number): Promise<Stored | NotStored> {
    const result = await this.#submit(request, abandoned, deadlineMs);
    if (result.kind === 'NOT_STORED') return result;
    // Whose key it was, that is a hold too: the first action of its payment.
    const payment = result.action as Payment;
    return { ...result, payment: { ...payment, balance: result.balance ?? firstBalance(payment) } };
  }

  async #submit(request: AuthorizeRequest | HoldRequest, abandoned: () => boolean, deadlineMs: number) {
    const decline = precheck(request);
    if (decline !== undefined) return notStored(decline);

    this.#externalPayers.check(request);

    const retryAfterMs = await this.#limiter.take(request.payerAccountId);
    if (retryAfterMs > 0) return notStored(rateLimited(request, retryAfterMs), retryAfterMs);

    const command = { ...request, actionId: this.#newId() };
    return decidedOf(await this.#externalPayers.learn(this.#groupCommit.submit(command, abandoned, deadlineMs)));
  }

  /** Throws ServiceError NOT_FOUND; and those of Admission.run. */
  async findPayment(paymentId: string, abandoned: () => boolean): Promise<CurrentPayment> {
    const payment = await this.#reads.run(() => this.#ledger.findPayment(paymentId), abandoned);
    if (payment !== undefined) return payment;
    throw notFound('Payment', paymentId);
  }

  /** The payment that the caller made an action on with the key. Throws ServiceError NOT_FOUND; and those of Admission.run. */
  async findPaymentByKey(key: CallerKey, abandoned: () => boolean): Promise<KeyedPayment> {
    const payment = await this.#reads.run(() => this.#ledger.findPaymentByKey(key), abandoned);
    if (payment !== undefined) return payment;
    throw noPaymentWithKey(key.idempotencyKey);
  }
}

export function notStored(decline: Decline, retryAfterMs = 0): NotStored {
  return { kind: 'NOT_STORED', decline, retryAfterMs, at: new Date() };
}

/** The outcome of a command that has a key. Throws ServiceError KEY_REUSED. */
export function decidedOf(outcome: Outcome): Extract<Outcome, { kind: 'DECIDED' | 'DUPLICATE' }> {
  switch (outcome.kind) {
    case 'DECIDED':
    case 'DUPLICATE':
      return outcome;
    case 'KEY_REUSED':
      throw new ServiceError(
        { kind: 'KEY_REUSED', paymentId: outcome.action.paymentId, differing: outcome.differing },
        'The idempotency key was used before, for another payment.',
      );
    case 'NOTHING':
      throw new Error('Bug! A command with a key came to nothing');
  }
}

/** Reading accounts and what they hold. */
export class Accounts {
  readonly #ledger: Ledger;
  readonly #reads: Admission;

  constructor(ledger: Ledger, reads: Admission) {
    this.#ledger = ledger;
    this.#reads = reads;
  }

  /** Throws ServiceError NOT_FOUND; and those of Admission.run. */
  async find(accountId: string, abandoned: () => boolean): Promise<Account> {
    const account = await this.#reads.run(() => this.#ledger.findAccount(accountId), abandoned);
    if (account !== undefined) return account;
    throw notFound('Account', accountId);
  }

  /** Throws ServiceError NOT_FOUND; and those of Admission.run. */
  async balance(accountId: string, abandoned: () => boolean): Promise<Balance> {
    const balance = await this.#reads.run(() => this.#ledger.findBalance(accountId), abandoned);
    if (balance !== undefined) return balance;
    throw notFound('Account', accountId);
  }
}
