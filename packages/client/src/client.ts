import { randomUUID } from 'node:crypto';
import type { Client } from '@grpc/grpc-js';
import {
  AccountEntryOrder,
  AccountServiceClient,
  AccountType,
  ListAccountEntriesRequest,
  OpenAccountRequest,
} from '../../../src/gen/payment/v1/account.ts';
import {
  AccountRole,
  AuthorizePaymentRequest,
  ListPaymentsRequest,
  PaymentServiceClient,
  PaymentStatus,
} from '../../../src/gen/payment/v1/payment.ts';
import { attemptRepeatedly, callOnce, type Limits, type Unary } from './attempts.ts';
import { CHANNEL_OPTIONS, channelCredentials, type LedgerClientOptions, positive } from './connection.ts';
import { LedgerError } from './errors.ts';
import {
  type AuthorizedPayment,
  type Balance,
  type LedgerAccount,
  type LedgerEntry,
  type PaymentRequest,
  type StoredPayment,
  toLedgerAccount,
  toLedgerEntry,
  toStoredPayment,
} from './messages.ts';
import { authorizedOrThrow, paymentFailure } from './outcome.ts';

export interface CallOptions {
  /** Instead of the client's own. */
  readonly timeoutMs?: number;
}

export interface NewAccount {
  readonly accountId: string;
  readonly currency: string;
  /** CUSTOMER unless told otherwise. */
  readonly type?: 'CUSTOMER' | 'EXTERNAL';
  /** Of a CUSTOMER account; 0n unless told otherwise. */
  readonly overdraftLimitCents?: bigint;
}

/** One of accountId, reference and createdFrom must be given. Times are RFC 3339. */
export interface PaymentFilter {
  readonly accountId?: string;
  readonly role?: 'PAYER' | 'PAYEE';
  readonly statuses?: readonly ('AUTHORIZED' | 'DECLINED')[];
  readonly reference?: string;
  readonly createdFrom?: string;
  readonly createdBefore?: string;
}

export interface EntryFilter {
  /** The newest first unless it is true. */
  readonly oldestFirst?: boolean;
  readonly createdFrom?: string;
  readonly createdBefore?: string;
  readonly versionFrom?: bigint;
  readonly versionBefore?: bigint;
}

/** A key for one payment. Store it with what is paid for before the first call. */
export function newIdempotencyKey(): string {
  return randomUUID();
}

/**
 * Payment Ledger, for callers. Calls that fail because the service is unreachable or has
 * too much to do are repeated within the call's time, with the same key. Errors are
 * LedgerErrors. One client serves a whole process; close() lets it end.
 */
export class LedgerClient {
  readonly #payments: PaymentServiceClient;
  readonly #accounts: AccountServiceClient;
  readonly #limits: Limits;
  readonly #token: LedgerClientOptions['token'];

  /** address is host:port, or any name that gRPC resolves, such as dns:///ledger.example:50051. */
  constructor(address: string, options: LedgerClientOptions = {}) {
    this.#limits = {
      timeoutMs: positive('timeoutMs', options.timeoutMs ?? 10_000),
      maxAttempts: positive('maxAttempts', options.maxAttempts ?? 5),
    };
    this.#token = options.token;
    const credentials = channelCredentials(options);
    this.#payments = new PaymentServiceClient(address, credentials, CHANNEL_OPTIONS);
    this.#accounts = new AccountServiceClient(address, credentials, CHANNEL_OPTIONS);
  }

  /**
   * Moves the money, at once and for good, unless an earlier call with the key did so.
   * Resolves only if it has moved. Throws PaymentDeclinedError if it has not and will not,
   * OutcomeUnknownError if nobody can tell yet, RateLimitedError if the payer pays too
   * often, and other LedgerErrors where nothing was stored.
   */
  async authorizePayment(payment: PaymentRequest, options?: CallOptions): Promise<AuthorizedPayment> {
    const { idempotencyKey, amountCents } = payment;
    if (typeof amountCents !== 'bigint' || BigInt.asIntN(64, amountCents) !== amountCents) {
      throw new TypeError(`amountCents must be a bigint of 64 bits, not ${amountCents}`);
    }
    const request = AuthorizePaymentRequest.fromPartial(payment);
    const failures: LedgerError[] = [];
    try {
      const method = this.#payments.authorizePayment;
      const response = await this.#call(this.#payments, method, request, options, (error) => failures.push(error));
      return authorizedOrThrow(response, idempotencyKey);
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      if (error !== failures.at(-1)) failures.push(error);
      throw paymentFailure(failures, idempotencyKey);
    }
  }

  /** Throws NotFoundError if there is none. */
  async getPayment(paymentId: string, options?: CallOptions): Promise<StoredPayment> {
    return this.#getPayment({ paymentId, idempotencyKey: '' }, options);
  }

  /**
   * What became of a call whose answer was lost. NotFoundError says that nothing is stored
   * yet; a call that is still under way may store its payment afterwards. Calling
   * authorizePayment again with the same key tells for certain.
   */
  async getPaymentByKey(idempotencyKey: string, options?: CallOptions): Promise<StoredPayment> {
    return this.#getPayment({ paymentId: '', idempotencyKey }, options);
  }

  /** The newest first. Asks for pages as they are needed; each call of its own may take the time of options. */
  async *listPayments(filter: PaymentFilter, options?: CallOptions): AsyncGenerator<StoredPayment> {
    const { role, statuses = [], ...others } = filter;
    const request = ListPaymentsRequest.fromPartial({
      ...others,
      role: AccountRole[`ACCOUNT_ROLE_${role ?? 'UNSPECIFIED'}`],
      statuses: statuses.map((status) => PaymentStatus[`PAYMENT_STATUS_${status}`]),
    });
    for (;;) {
      const page = await this.#call(this.#payments, this.#payments.listPayments, request, options);
      yield* page.payments.map(toStoredPayment);
      if (page.nextPageToken === '') return;
      request.pageToken = page.nextPageToken;
    }
  }

  /** As of the last committed payment. Throws NotFoundError. */
  async getBalance(accountId: string, options?: CallOptions): Promise<Balance> {
    return this.#call(this.#payments, this.#payments.getAccountBalance, { accountId }, options);
  }

  /** Safe to repeat. Throws AccountExistsError if the id is taken by an account of another kind. */
  async openAccount(account: NewAccount, options?: CallOptions): Promise<LedgerAccount> {
    const request = OpenAccountRequest.fromPartial({
      ...account,
      type: AccountType[`ACCOUNT_TYPE_${account.type ?? 'CUSTOMER'}`],
    });
    const response = await this.#call(this.#accounts, this.#accounts.openAccount, request, options);
    return toLedgerAccount(present(response.account));
  }

  /** Throws NotFoundError. */
  async getAccount(accountId: string, options?: CallOptions): Promise<LedgerAccount> {
    const response = await this.#call(this.#accounts, this.#accounts.getAccount, { accountId }, options);
    return toLedgerAccount(present(response.account));
  }

  /** An account's statement. Throws NotFoundError. */
  async *listEntries(accountId: string, filter: EntryFilter = {}, options?: CallOptions): AsyncGenerator<LedgerEntry> {
    const { oldestFirst = false, ...others } = filter;
    const order = oldestFirst
      ? AccountEntryOrder.ACCOUNT_ENTRY_ORDER_OLDEST_FIRST
      : AccountEntryOrder.ACCOUNT_ENTRY_ORDER_NEWEST_FIRST;
    const request = ListAccountEntriesRequest.fromPartial({ ...others, accountId, order });
    for (;;) {
      const page = await this.#call(this.#accounts, this.#accounts.listAccountEntries, request, options);
      yield* page.entries.map(toLedgerEntry);
      if (page.nextPageToken === '') return;
      request.pageToken = page.nextPageToken;
    }
  }

  /** Lets go of the connections. Calls in flight end first. */
  close(): void {
    this.#payments.close();
    this.#accounts.close();
  }

  async #getPayment(
    request: { paymentId: string; idempotencyKey: string },
    options: CallOptions | undefined,
  ): Promise<StoredPayment> {
    const response = await this.#call(this.#payments, this.#payments.getPayment, request, options);
    return toStoredPayment(present(response.payment));
  }

  #call<Request, Response>(
    client: Client,
    method: Unary<Request, Response>,
    request: Request,
    { timeoutMs = this.#limits.timeoutMs }: CallOptions = {},
    onFailure?: (error: LedgerError) => void,
  ): Promise<Response> {
    return attemptRepeatedly(
      (deadline) => callOnce(client, method, request, deadline, this.#token),
      { ...this.#limits, timeoutMs: positive('timeoutMs', timeoutMs) },
      onFailure,
    );
  }
}

/** The service always sends it. */
function present<T>(message: T | undefined): T {
  if (message === undefined) throw new LedgerError('The answer lacks the message that it is to bring.');
  return message;
}
