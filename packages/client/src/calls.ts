import type { Client } from '@grpc/grpc-js';
import { AccountServiceClient } from '../../../src/gen/payment/v1/account.ts';
import { PaymentServiceClient } from '../../../src/gen/payment/v1/payment.ts';
import { attemptRepeatedly, callOnce, type Limits, type Unary } from './attempts.ts';
import { CHANNEL_OPTIONS, channelCredentials, type LedgerClientOptions, positive } from './connection.ts';
import { LedgerError } from './errors.ts';
import { paymentFailure } from './outcome.ts';

export interface CallOptions {
  /** Instead of the client's own. */
  readonly timeoutMs?: number;
}

/** The two services, and how they are called: repeatedly, within a time. */
export class Calls {
  readonly payments: PaymentServiceClient;
  readonly accounts: AccountServiceClient;
  readonly #limits: Limits;
  readonly #token: LedgerClientOptions['token'];

  constructor(address: string, options: LedgerClientOptions) {
    this.#limits = {
      timeoutMs: positive('timeoutMs', options.timeoutMs ?? 10_000),
      maxAttempts: positive('maxAttempts', options.maxAttempts ?? 5),
    };
    this.#token = options.token;
    const credentials = channelCredentials(options);
    this.payments = new PaymentServiceClient(address, credentials, CHANNEL_OPTIONS);
    this.accounts = new AccountServiceClient(address, credentials, CHANNEL_OPTIONS);
  }

  /** A call that may be repeated as it is. */
  async call<Request, Response>(
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

  /**
   * A call that its key makes safe to repeat. read makes a result of the answer, or throws
   * what the answer says is wrong. If an attempt may have done what later ones do not tell
   * of, it is an OutcomeUnknownError.
   */
  async callByKey<Request extends { readonly idempotencyKey: string }, Response, Result>(
    method: Unary<Request, Response>,
    request: Request,
    options: CallOptions | undefined,
    read: (response: Response, idempotencyKey: string) => Result,
  ): Promise<Result> {
    const failures: LedgerError[] = [];
    try {
      const onFailure = (error: LedgerError) => failures.push(error);
      const response = await this.call(this.payments, method, request, options, onFailure);
      return read(response, request.idempotencyKey);
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      if (error !== failures.at(-1)) failures.push(error);
      throw paymentFailure(failures, request.idempotencyKey);
    }
  }

  close(): void {
    this.payments.close();
    this.accounts.close();
  }
}

/** The items of a list, for whose pages it asks as they are needed. A page may be empty and not the last. */
export async function* overPages<T>(
  page: (pageToken: string) => Promise<{ items: readonly T[]; nextPageToken: string }>,
): AsyncGenerator<T> {
  for (let pageToken = ''; ; ) {
    const { items, nextPageToken } = await page(pageToken);
    yield* items;
    if (nextPageToken === '') return;
    pageToken = nextPageToken;
  }
}
