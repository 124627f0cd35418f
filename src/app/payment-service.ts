import type { Admission } from './admission.ts';
import type { Outcome } from './authorize-payments.ts';
import type { Account, Balance } from './domain/account.ts';
import { precheck, rateLimited } from './domain/authorize.ts';
import type { Decline, Payment } from './domain/payment.ts';
import { noPaymentWithKey, notFound, ServiceError } from './errors.ts';
import { ExternalPayers } from './external-payers.ts';
import type { GroupCommit } from './group-commit.ts';
import type { AuthorizeCommand, CallerKey, Ledger, RateLimiter } from './ports.ts';

export type AuthorizeRequest = Omit<AuthorizeCommand, 'paymentId'>;

export type AuthorizeResult =
  | { readonly kind: 'DECIDED' | 'DUPLICATE'; readonly payment: Payment }
  /** Declined with nothing stored: the key is still free. */
  | { readonly kind: 'NOT_STORED'; readonly decline: Decline; readonly retryAfterMs: number; readonly at: Date };

/** Authorizing payments and reading them back. */
export class Payments {
  readonly #groupCommit: GroupCommit<AuthorizeCommand, Outcome>;
  readonly #limiter: RateLimiter;
  readonly #ledger: Ledger;
  readonly #reads: Admission;
  readonly #newId: () => string;
  readonly #externalPayers = new ExternalPayers();

  /** newId makes ULIDs. */
  constructor(
    groupCommit: GroupCommit<AuthorizeCommand, Outcome>,
    limiter: RateLimiter,
    ledger: Ledger,
    reads: Admission,
    newId: () => string,
  ) {
    this.#groupCommit = groupCommit;
    this.#limiter = limiter;
    this.#ledger = ledger;
    this.#reads = reads;
    this.#newId = newId;
  }

  /**
   * Resolves when the payment is committed, or declined with nothing stored.
   * Throws ServiceError KEY_REUSED, PERMISSION_DENIED with nothing stored, and those of GroupCommit.submit.
   */
  async authorize(request: AuthorizeRequest, abandoned: () => boolean, deadlineMs: number): Promise<AuthorizeResult> {
    const decline = precheck(request);
    if (decline !== undefined) return { kind: 'NOT_STORED', decline, retryAfterMs: 0, at: new Date() };

    this.#externalPayers.check(request);

    const retryAfterMs = await this.#limiter.take(request.payerAccountId);
    if (retryAfterMs > 0) {
      return { kind: 'NOT_STORED', decline: rateLimited(request, retryAfterMs), retryAfterMs, at: new Date() };
    }

    const command = { ...request, paymentId: this.#newId() };
    const outcome = await this.#externalPayers.learn(this.#groupCommit.submit(command, abandoned, deadlineMs));
    switch (outcome.kind) {
      case 'DECIDED':
      case 'DUPLICATE':
        return outcome;
      case 'KEY_REUSED':
        throw new ServiceError(
          { kind: 'KEY_REUSED', paymentId: outcome.payment.paymentId, differing: outcome.differing },
          'The idempotency key was used before, for another payment.',
        );
    }
  }

  /** Throws ServiceError NOT_FOUND; and those of Admission.run. */
  async findPayment(paymentId: string, abandoned: () => boolean): Promise<Payment> {
    const payment = await this.#reads.run(() => this.#ledger.findPayment(paymentId), abandoned);
    if (payment !== undefined) return payment;
    throw notFound('Payment', paymentId);
  }

  /** The payment that the caller made with the key. Throws ServiceError NOT_FOUND; and those of Admission.run. */
  async findPaymentByKey(key: CallerKey, abandoned: () => boolean): Promise<Payment> {
    const payment = await this.#reads.run(() => this.#ledger.findPaymentByKey(key), abandoned);
    if (payment !== undefined) return payment;
    throw noPaymentWithKey(key.idempotencyKey);
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
