import type { Admission } from './admission.ts';
import type { Outcome } from './authorize-payments.ts';
import type { Account, Balance } from './domain/account.ts';
import { precheck, rateLimited } from './domain/authorize.ts';
import type { Decline, Payment } from './domain/payment.ts';
import { ServiceError } from './errors.ts';
import { ExternalPayers } from './external-payers.ts';
import type { GroupCommit } from './group-commit.ts';
import type { AuthorizeCommand, Ledger, RateLimiter } from './ports.ts';

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
}

/** Opening accounts and reading what they hold. */
export class Accounts {
  readonly #ledger: Ledger;
  readonly #reads: Admission;
  readonly #openings: Admission;

  constructor(ledger: Ledger, admission: { readonly reads: Admission; readonly openings: Admission }) {
    this.#ledger = ledger;
    this.#reads = admission.reads;
    this.#openings = admission.openings;
  }

  /**
   * Opens an account, or finds that it was opened just so before. An EXTERNAL
   * account has no limit: null. Throws ServiceError ACCOUNT_EXISTS if the id is
   * taken by an account that differs; and those of Admission.run.
   */
  async open(request: Omit<Account, 'openedAt'>, abandoned: () => boolean): Promise<Account> {
    const opening = () => this.#ledger.openAccount({ ...request, openedAt: new Date() });
    const account = await this.#openings.run(opening, abandoned);
    const fields = ['currency', 'type', 'overdraftLimitCents'] as const;
    const differing = fields.filter((field) => account[field] !== request[field]);
    if (differing.length === 0) return account;
    throw new ServiceError(
      { kind: 'ACCOUNT_EXISTS', accountId: account.accountId, differing },
      `Account ${account.accountId} exists and differs.`,
    );
  }

  /** Throws ServiceError NOT_FOUND; and those of Admission.run. */
  async balance(accountId: string, abandoned: () => boolean): Promise<Balance> {
    const balance = await this.#reads.run(() => this.#ledger.findBalance(accountId), abandoned);
    if (balance !== undefined) return balance;
    throw notFound('Account', accountId);
  }
}

function notFound(resourceType: 'Payment' | 'Account', resourceName: string): ServiceError {
  return new ServiceError(
    { kind: 'NOT_FOUND', resourceType, resourceName },
    `There is no ${resourceType.toLowerCase()} ${resourceName}.`,
  );
}
