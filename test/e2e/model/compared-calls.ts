import { isDeepStrictEqual } from 'node:util';
import { type ServiceError, status } from '@grpc/grpc-js';
import {
  Account,
  AccountEntry,
  type CloseAccountRequest,
  type FreezeAccountRequest,
  GetBalanceSnapshotResponse,
  ListAccountEntriesRequest,
  type OpenAccountRequest,
  type UnfreezeAccountRequest,
} from '../../../src/gen/payment/v1/account.ts';
import {
  AuthorizePaymentResponse,
  ExecutePaymentBatchResponse,
  GetAccountBalanceResponse,
  GetPaymentResponse,
  HoldPaymentResponse,
  ListPaymentsRequest,
  Payment,
  PaymentAction,
  PaymentActionType,
  type PaymentBatchItem,
  type PaymentError,
  PaymentErrorCode,
  paymentErrorCodeToJSON,
  paymentStatusToJSON,
} from '../../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../../tools/client.ts';
import { errorDetails } from '../../support/error-details.ts';
import {
  closeAccount,
  freezeAccount,
  getAccount,
  openAccount,
  unfreezeAccount,
  updateAccount,
} from './account-calls.ts';
import { type Books, failed, type Outcome, statusOf, type Told } from './books.ts';
import { executeBatch } from './execute-batch.ts';
import { expire } from './later-actions.ts';
import { actionResponse, authorizeResponse, moveMoney } from './move-money.ts';
import {
  getAccountBalance,
  getBalanceSnapshot,
  getPayment,
  listAccountEntries,
  listPaymentActions,
  listPayments,
} from './read-calls.ts';
import type { BatchRequest, MoneyRequest } from './requests.ts';

/** How often each RPC was called, and each status, decline code and reason came up. */
export type Seen = Map<string, number>;

export function count(seen: Seen, what: string): void {
  seen.set(what, (seen.get(what) ?? 0) + 1);
}

/** Of a decision that an answer does not tell: whatever the model makes of it is not that answer. */
const NEVER = '9999-01-01T00:00:00.000Z';

type ToJson<Answer> = { toJSON(answer: Answer): unknown };

/** Calls the service and the model, and throws where they differ. */
export class ComparedCalls {
  readonly client: LedgerClient;
  readonly books: Books;
  readonly #seen: Seen;
  /** When something was decided, as the answers have it. */
  readonly times: string[] = [];

  constructor(client: LedgerClient, books: Books, seen: Seen) {
    this.client = client;
    this.books = books;
    this.#seen = seen;
  }

  async send(asked: MoneyRequest): Promise<void> {
    const { method, request } = asked;
    switch (method) {
      case 'AUTHORIZE': {
        const actual = await this.#outcome('AuthorizePayment', this.client.authorize(request));
        const { paymentId: actionId, processedAt, error, status: paymentStatus } = answerOf(actual) ?? {};
        if (paymentStatus !== undefined) count(this.#seen, paymentStatusToJSON(paymentStatus));
        const moved = moveMoney(this.books, asked, this.#told({ actionId, at: processedAt, error }));
        return this.#compare(actual, mapped(moved, authorizeResponse), AuthorizePaymentResponse);
      }
      case 'HOLD':
        return this.#act('HoldPayment', this.client.hold(request), asked);
      case 'CAPTURE':
        return this.#act('CapturePayment', this.client.capture(request.paymentId, request), asked);
      case 'VOID':
        return this.#act('VoidPayment', this.client.void(request.paymentId, request), asked);
      case 'REFUND':
        return this.#act('RefundPayment', this.client.refund(request.paymentId, request), asked);
    }
  }

  async sendBatch(asked: BatchRequest): Promise<void> {
    const { idempotencyKey, items } = asked.request;
    const call = this.client.batch(items.map(itemOf), idempotencyKey);
    const actual = await this.#outcome('ExecutePaymentBatch', call);
    const { batchId = '', actions = [], createdAt: at, error, declinedItem } = answerOf(actual) ?? {};
    const told = {
      ...this.#told({ at, error }),
      batchId,
      actionIds: actions.map(({ actionId }) => actionId),
      declinedItem,
    };
    if ('answer' in actual) count(this.#seen, error === undefined ? 'a batch was taken' : 'a batch was declined');
    this.#compare(actual, executeBatch(this.books, asked, told), ExecutePaymentBatchResponse);
  }

  /** Waits until the service has noticed that the time of the payment's hold is over, and lets the model know. */
  async awaitExpiry(paymentId: string): Promise<void> {
    const deadline = Date.now() + 60_000;
    for (;;) {
      const { actions } = await this.client.actions(paymentId, { pageSize: 1_000 });
      const expiry = actions.find(({ type }) => type === PaymentActionType.PAYMENT_ACTION_TYPE_EXPIRY);
      if (expiry !== undefined) {
        const payment = this.books.payments.get(paymentId)!;
        expire(this.books, payment, { actionId: expiry.actionId, at: expiry.createdAt });
        return;
      }
      if (Date.now() > deadline) throw new Error(`${paymentId} has not expired`);
      await new Promise((resume) => setTimeout(resume, 50));
    }
  }

  async open(request: OpenAccountRequest): Promise<void> {
    const { accountId, ...terms } = request;
    const actual = await this.#outcome('OpenAccount', this.client.open(accountId, terms));
    this.#compare(actual, openAccount(this.books, request, answerOf(actual)), Account);
  }

  async update(request: Parameters<typeof updateAccount>[1]): Promise<void> {
    const { accountId, etag, limitCents, metadata } = request;
    const changes = {
      ...(limitCents === undefined ? {} : { overdraftLimitCents: limitCents }),
      ...(metadata === undefined ? {} : { metadata }),
    };
    const actual = await this.#outcome('UpdateAccount', this.client.updateAccount(accountId, { etag, ...changes }));
    this.#compare(actual, updateAccount(this.books, request, answerOf(actual)), Account);
  }

  async freeze(request: FreezeAccountRequest): Promise<void> {
    const actual = await this.#outcome('FreezeAccount', this.client.freeze(request.accountId, request));
    this.#compare(actual, freezeAccount(this.books, request, answerOf(actual)), Account);
  }

  async unfreeze(request: UnfreezeAccountRequest): Promise<void> {
    const actual = await this.#outcome('UnfreezeAccount', this.client.unfreeze(request.accountId, request));
    this.#compare(actual, unfreezeAccount(this.books, request, answerOf(actual)), Account);
  }

  async close(request: CloseAccountRequest): Promise<void> {
    const actual = await this.#outcome('CloseAccount', this.client.closeAccount(request.accountId, request));
    this.#compare(actual, closeAccount(this.books, request, answerOf(actual)), Account);
  }

  async getAccount(accountId: string): Promise<void> {
    const actual = await this.#outcome('GetAccount', this.client.account(accountId));
    this.#compare(actual, getAccount(this.books, accountId), Account);
  }

  async getPayment(request: { paymentId: string; idempotencyKey: string }): Promise<void> {
    const actual = await this.#outcome('GetPayment', this.client.getPayment(request));
    this.#compare(actual, getPayment(this.books, request), GetPaymentResponse);
  }

  async getBalance(accountId: string): Promise<void> {
    const actual = await this.#outcome('GetAccountBalance', this.client.balance(accountId));
    this.#compare(actual, getAccountBalance(this.books, accountId), GetAccountBalanceResponse);
  }

  async snapshot(accountId: string, point: { at: string } | { version: bigint }): Promise<void> {
    const actual = await this.#outcome('GetBalanceSnapshot', this.client.snapshot(accountId, point));
    this.#compare(actual, getBalanceSnapshot(this.books, { accountId, ...point }), GetBalanceSnapshotResponse);
  }

  async listActions(paymentId: string, pageSize: number): Promise<void> {
    const actual = await this.#pages('ListPaymentActions', pageSize, async (pageToken) => {
      const { actions, nextPageToken } = await this.client.actions(paymentId, { pageSize, pageToken });
      return { items: actions, nextPageToken };
    });
    this.#compare(actual, listPaymentActions(this.books, paymentId), each(PaymentAction));
  }

  async listEntries(request: ListAccountEntriesRequest): Promise<void> {
    const actual = await this.#pages('ListAccountEntries', request.pageSize, async (pageToken) => {
      const { entries, nextPageToken } = await this.client.entries(request.accountId, { ...request, pageToken });
      return { items: entries, nextPageToken };
    });
    this.#compare(actual, listAccountEntries(this.books, request), each(AccountEntry));
  }

  async listPayments(request: ListPaymentsRequest): Promise<void> {
    const actual = await this.#pages('ListPayments', request.pageSize, async (pageToken) => {
      const { payments, nextPageToken } = await this.client.listPayments({ ...request, pageToken });
      return { items: payments, nextPageToken };
    });
    this.#compare(actual, listPayments(this.books, request), each(Payment));
  }

  async invalid(rpc: string, call: Promise<unknown>, fields: readonly string[]): Promise<void> {
    const expected = failed('INVALID_ARGUMENT', 'INVALID_REQUEST', fields);
    this.#compare(await this.#outcome(rpc, call), expected, { toJSON: (answer) => answer });
  }

  /** All that can be read of what the sequence did, but for what the answers to it have said already. */
  async compareBooks(): Promise<void> {
    const { accounts, payments } = this.books;
    for (const payment of payments.values()) count(this.#seen, paymentStatusToJSON(statusOf(payment)));
    const actions = [...payments.values()].flatMap((payment) => payment.actions);
    const batchIds = new Set(actions.map(({ batchId }) => batchId).filter((batchId) => batchId !== ''));
    const parties = [...payments.values()].flatMap(({ payerAccountId, payeeAccountId }) => [
      payerAccountId,
      payeeAccountId,
    ]);
    const touched = [...accounts.values()].filter(
      ({ accountId, etags }) => etags.length > 1 || parties.includes(accountId),
    );
    const actedOn = [...payments.values()].filter((payment) => payment.actions.length > 1);
    await Promise.all([
      ...touched.flatMap(({ accountId }) => [
        this.getBalance(accountId),
        this.getAccount(accountId),
        this.listEntries(ListAccountEntriesRequest.fromPartial({ accountId, pageSize: 1_000 })),
        this.listPayments(ListPaymentsRequest.fromPartial({ accountId, pageSize: 1_000 })),
      ]),
      ...[...batchIds].map((batchId) =>
        this.listPayments(ListPaymentsRequest.fromPartial({ batchId, pageSize: 1_000 })),
      ),
      ...actedOn.map(({ paymentId }) => this.listActions(paymentId, 1_000)),
    ]);
  }

  async #act(rpc: string, call: Promise<HoldPaymentResponse>, asked: MoneyRequest): Promise<void> {
    const actual = await this.#outcome(rpc, call);
    const { actionId, paymentId, createdAt: at = '', error } = answerOf(actual)?.action ?? {};
    const known = this.books.payments.get(paymentId ?? '');
    if (known !== undefined && known.heldCents > 0n && at >= known.expiresAt) await this.awaitExpiry(known.paymentId);
    const moved = moveMoney(this.books, asked, this.#told({ actionId, at, error }));
    this.#compare(actual, mapped(moved, actionResponse), HoldPaymentResponse);
  }

  #told({
    actionId = '',
    at = '',
    error,
  }: Partial<Record<'actionId' | 'at', string | undefined>> & { error?: PaymentError | undefined }): Told {
    if (at !== '') this.times.push(at);
    if (error !== undefined) count(this.#seen, paymentErrorCodeToJSON(error.code));
    return { actionId, at: at || NEVER, rateLimited: error?.code === PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED };
  }

  async #outcome<Answer>(rpc: string, call: Promise<Answer | undefined>): Promise<Outcome<Answer>> {
    count(this.#seen, rpc);
    try {
      const answer = await call;
      if (answer === undefined) throw new Error(`${rpc} answered nothing`);
      return { answer };
    } catch (error) {
      const { code, details } = error as ServiceError;
      if (code === undefined) throw error;
      const { errorInfo, badRequest } = errorDetails(error as ServiceError);
      if (errorInfo === undefined) throw error;
      const { reason, metadata } = errorInfo;
      const fields = badRequest?.fieldViolations.map(({ field }) => field) ?? metadata['fields']?.split(',') ?? [];
      count(this.#seen, reason);
      const { error: failure } = failed(status[code], reason, fields);
      return { error: Object.defineProperty(failure, 'details', { value: details }) };
    }
  }

  async #pages<Item>(
    rpc: string,
    pageSize: number,
    page: (pageToken: string) => Promise<{ items: Item[]; nextPageToken: string }>,
  ): Promise<Outcome<Item[]>> {
    const all: Item[] = [];
    for (let pageToken = ''; ; ) {
      const outcome = await this.#outcome(rpc, page(pageToken));
      if ('error' in outcome) return outcome;
      const { items, nextPageToken } = outcome.answer;
      if (items.length > (pageSize || 50)) throw new Error(`${rpc} answered a page of ${items.length}`);
      all.push(...items);
      if (nextPageToken === '') return { answer: all };
      pageToken = nextPageToken;
    }
  }

  #compare<Answer>(actual: Outcome<Answer>, expected: Outcome<Answer>, { toJSON }: ToJson<Answer>): void {
    const [one, other] = [actual, expected].map((outcome) =>
      'error' in outcome ? outcome : plain(toJSON(outcome.answer)),
    );
    if (isDeepStrictEqual(one, other)) return;
    const details = 'error' in actual ? ` (${(actual.error as { details?: string }).details})` : '';
    throw new Error(
      `it answered${details}\n${print(one)}\nand not, where the two differ,\n${print(differenceOf(one, other))}`,
    );
  }
}

/** What of the other is not in the one; absent is what only the one has. */
function differenceOf(one: unknown, other: unknown): unknown {
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return other;
  const [has, wanted] = [one, other] as Record<string, unknown>[];
  const names = [...new Set([...Object.keys(wanted!), ...Object.keys(has!)])];
  const differing = names.filter((name) => !isDeepStrictEqual(has![name], wanted![name]));
  return Object.fromEntries(
    differing.map((name) => [name, name in wanted! ? differenceOf(has![name], wanted![name]) : 'absent']),
  );
}

function itemOf({ method, request }: MoneyRequest): PaymentBatchItem {
  switch (method) {
    case 'AUTHORIZE':
      return { transfer: request };
    case 'HOLD':
      return { hold: request };
    case 'CAPTURE':
      return { capture: request };
    case 'VOID':
      return { void: request };
    case 'REFUND':
      return { refund: request };
  }
}

function answerOf<Answer>(outcome: Outcome<Answer>): Answer | undefined {
  return 'answer' in outcome ? outcome.answer : undefined;
}

function mapped<One, Other>(outcome: Outcome<One>, map: (answer: One) => Other): Outcome<Other> {
  return 'error' in outcome ? outcome : { answer: map(outcome.answer) };
}

function each<Item>({ toJSON }: ToJson<Item>): ToJson<Item[]> {
  return { toJSON: (items) => items.map(toJSON) };
}

/** Messages are for people, and how long to wait is for the clock to say: both are left out. */
function plain(json: unknown): unknown {
  return JSON.parse(
    JSON.stringify(json, (name, value) => {
      if (name !== 'error') return value;
      const { code } = value as { code: string };
      return { code };
    }),
  );
}

function print(outcome: unknown): string {
  return JSON.stringify(outcome, undefined, 2);
}
