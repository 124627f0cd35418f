import { type Client, type ClientOptions, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import {
  Account,
  AccountEntryOrder,
  AccountServiceClient,
  AccountType,
  FreezeAccountRequest,
  type GetBalanceSnapshotRequest,
  type ListAccountEntriesRequest,
  type ListAccountsRequest,
  UnfreezeAccountRequest,
} from '../src/gen/payment/v1/account.ts';
import {
  AccountRole,
  type AuthorizePaymentRequest,
  type AuthorizePaymentResponse,
  type CapturePaymentRequest,
  type GetPaymentRequest,
  type HoldPaymentRequest,
  type ListPaymentActionsRequest,
  type ListPaymentsRequest,
  type PaymentBatchItem,
  PaymentServiceClient,
  type RefundPaymentRequest,
  type VoidPaymentRequest,
} from '../src/gen/payment/v1/payment.ts';

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: { deadline: number },
  callback: (error: ServiceError | null, response: Response) => void,
) => unknown;

const NO_NOTES = { description: '', reference: '', metadata: {} };

/** The service as a caller sees it, with promises: for tools and tests. Calls end after 30 seconds unless told otherwise. */
export class LedgerClient {
  readonly payments: PaymentServiceClient;
  readonly accounts: AccountServiceClient;

  readonly #metadata = new Metadata();

  /** token is a bearer token for every call. */
  constructor(
    address: string,
    channel = credentials.createInsecure(),
    token?: string,
    options: Partial<ClientOptions> = {},
  ) {
    if (token !== undefined) this.#metadata.set('authorization', `Bearer ${token}`);
    this.payments = new PaymentServiceClient(address, channel, options);
    this.accounts = new AccountServiceClient(address, channel, options);
  }

  authorize(request: Partial<AuthorizePaymentRequest>, deadlineMs?: number): Promise<AuthorizePaymentResponse> {
    const complete = {
      idempotencyKey: crypto.randomUUID(),
      payerAccountId: '',
      payeeAccountId: '',
      amountCents: 0n,
      currency: 'RUB',
      description: '',
      reference: '',
      metadata: {},
      ...request,
    };
    return this.#call(this.payments, this.payments.authorizePayment, complete, deadlineMs);
  }

  /** Holds for seven days unless told otherwise. */
  hold(request: Partial<HoldPaymentRequest>) {
    const complete = {
      idempotencyKey: crypto.randomUUID(),
      payerAccountId: '',
      payeeAccountId: '',
      amountCents: 0n,
      currency: 'RUB',
      ...NO_NOTES,
      ttl: undefined,
    };
    return this.#call(this.payments, this.payments.holdPayment, { ...complete, ...request });
  }

  /** Captures all that is held unless told otherwise. */
  capture(paymentId: string, request: Partial<CapturePaymentRequest> = {}) {
    const complete = { idempotencyKey: crypto.randomUUID(), paymentId, amountCents: undefined, keepRemainder: false };
    return this.#call(this.payments, this.payments.capturePayment, { ...complete, ...NO_NOTES, ...request });
  }

  void(paymentId: string, request: Partial<VoidPaymentRequest> = {}) {
    const complete = { idempotencyKey: crypto.randomUUID(), paymentId, ...NO_NOTES };
    return this.#call(this.payments, this.payments.voidPayment, { ...complete, ...request });
  }

  /** Refunds all that can be refunded unless told otherwise. */
  refund(paymentId: string, request: Partial<RefundPaymentRequest> = {}) {
    const complete = { idempotencyKey: crypto.randomUUID(), paymentId, amountCents: undefined, ...NO_NOTES };
    return this.#call(this.payments, this.payments.refundPayment, { ...complete, ...request });
  }

  /** batchItems makes the items. */
  batch(items: PaymentBatchItem[], idempotencyKey: string = crypto.randomUUID()) {
    return this.#call(this.payments, this.payments.executePaymentBatch, { idempotencyKey, items });
  }

  actions(paymentId: string, request: Partial<ListPaymentActionsRequest> = {}) {
    const complete = { paymentId, pageSize: 0, pageToken: '' };
    return this.#call(this.payments, this.payments.listPaymentActions, { ...complete, ...request });
  }

  getPayment(request: GetPaymentRequest) {
    return this.#call(this.payments, this.payments.getPayment, request);
  }

  async payment(paymentId: string) {
    return (await this.getPayment({ paymentId, idempotencyKey: '' })).payment;
  }

  async paymentByKey(idempotencyKey: string) {
    return (await this.getPayment({ paymentId: '', idempotencyKey })).payment;
  }

  listPayments(request: Partial<ListPaymentsRequest>) {
    const complete = {
      pageSize: 0,
      pageToken: '',
      accountId: '',
      role: AccountRole.ACCOUNT_ROLE_UNSPECIFIED,
      statuses: [],
      reference: '',
      batchId: '',
      createdFrom: '',
      createdBefore: '',
    };
    return this.#call(this.payments, this.payments.listPayments, { ...complete, ...request });
  }

  balance(accountId: string) {
    return this.#call(this.payments, this.payments.getAccountBalance, { accountId });
  }

  async account(accountId: string) {
    return (await this.#call(this.accounts, this.accounts.getAccount, { accountId })).account;
  }

  listAccounts(request: Partial<ListAccountsRequest>) {
    const complete = { pageSize: 0, pageToken: '', currency: '', type: AccountType.ACCOUNT_TYPE_UNSPECIFIED };
    return this.#call(this.accounts, this.accounts.listAccounts, { ...complete, ...request });
  }

  /** The newest first unless told otherwise. */
  entries(accountId: string, request: Partial<ListAccountEntriesRequest> = {}) {
    const complete = {
      accountId,
      pageSize: 0,
      pageToken: '',
      order: AccountEntryOrder.ACCOUNT_ENTRY_ORDER_UNSPECIFIED,
      createdFrom: '',
      createdBefore: '',
      versionFrom: 0n,
      versionBefore: 0n,
    };
    return this.#call(this.accounts, this.accounts.listAccountEntries, { ...complete, ...request });
  }

  snapshot(accountId: string, point: Omit<GetBalanceSnapshotRequest, 'accountId'>) {
    return this.#call(this.accounts, this.accounts.getBalanceSnapshot, { accountId, ...point });
  }

  /** Opens a CUSTOMER account in RUB unless told otherwise. */
  async open(
    accountId: string,
    overrides: { currency?: string; type?: AccountType; overdraftLimitCents?: bigint } = {},
  ) {
    const customer = { currency: 'RUB', type: AccountType.ACCOUNT_TYPE_CUSTOMER, overdraftLimitCents: 0n };
    const request = { accountId, ...customer, ...overrides };
    return (await this.#call(this.accounts, this.accounts.openAccount, request)).account;
  }

  /** Changes what is given, and nothing else. */
  async updateAccount(
    accountId: string,
    {
      etag = '',
      reason = '',
      ...changes
    }: { etag?: string; reason?: string; overdraftLimitCents?: bigint; metadata?: Record<string, string> },
  ) {
    const names = { overdraftLimitCents: 'overdraft_limit_cents', metadata: 'metadata' } as const;
    const updateMask = (Object.keys(changes) as (keyof typeof names)[]).map((name) => names[name]);
    const request = { account: Account.fromPartial({ accountId, etag, ...changes }), updateMask, reason };
    return (await this.#call(this.accounts, this.accounts.updateAccount, request)).account;
  }

  /** Debits and credits unless told otherwise. */
  async freeze(accountId: string, request: Partial<FreezeAccountRequest> = {}) {
    const complete = { ...FreezeAccountRequest.fromPartial(request), accountId };
    return (await this.#call(this.accounts, this.accounts.freezeAccount, complete)).account;
  }

  /** Debits and credits unless told otherwise. */
  async unfreeze(accountId: string, request: Partial<UnfreezeAccountRequest> = {}) {
    const complete = { ...UnfreezeAccountRequest.fromPartial(request), accountId };
    return (await this.#call(this.accounts, this.accounts.unfreezeAccount, complete)).account;
  }

  async closeAccount(accountId: string, { reason = '', etag = '' } = {}) {
    return (await this.#call(this.accounts, this.accounts.closeAccount, { accountId, reason, etag })).account;
  }

  /** Opens an account and pays it the amount from an EXTERNAL account, which is opened too. */
  async openFunded(accountId: string, amountCents: bigint, currency = 'RUB'): Promise<void> {
    const external = `external-${currency}`;
    await this.open(external, { currency, type: AccountType.ACCOUNT_TYPE_EXTERNAL });
    await this.open(accountId, { currency });
    await this.authorize({ payerAccountId: external, payeeAccountId: accountId, amountCents, currency });
  }

  close(): void {
    this.payments.close();
    this.accounts.close();
  }

  #call<Request, Response>(
    client: Client,
    method: Unary<Request, Response>,
    request: Request,
    deadlineMs = 30_000,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      method.call(client, request, this.#metadata, { deadline: Date.now() + deadlineMs }, (error, response) =>
        error === null ? resolve(response) : reject(error),
      );
    });
  }
}
