import { type Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { AccountServiceClient, AccountType } from '../src/gen/payment/v1/account.ts';
import {
  type AuthorizePaymentRequest,
  type AuthorizePaymentResponse,
  PaymentServiceClient,
} from '../src/gen/payment/v1/payment.ts';

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: { deadline: number },
  callback: (error: ServiceError | null, response: Response) => void,
) => unknown;

/** The service as a caller sees it, with promises: for tools and tests. Calls end after 30 seconds unless told otherwise. */
export class LedgerClient {
  readonly payments: PaymentServiceClient;
  readonly accounts: AccountServiceClient;

  readonly #metadata = new Metadata();

  /** token is a bearer token for every call. */
  constructor(address: string, channel = credentials.createInsecure(), token?: string) {
    if (token !== undefined) this.#metadata.set('authorization', `Bearer ${token}`);
    this.payments = new PaymentServiceClient(address, channel);
    this.accounts = new AccountServiceClient(address, channel);
  }

  authorize(request: Partial<AuthorizePaymentRequest>, deadlineMs?: number): Promise<AuthorizePaymentResponse> {
    const complete = {
      idempotencyKey: crypto.randomUUID(),
      payerAccountId: '',
      payeeAccountId: '',
      amountCents: 0n,
      currency: 'RUB',
      description: '',
      ...request,
    };
    return this.#call(this.payments, this.payments.authorizePayment, complete, deadlineMs);
  }

  async payment(paymentId: string) {
    return (await this.#call(this.payments, this.payments.getPayment, { paymentId })).payment;
  }

  balance(accountId: string) {
    return this.#call(this.payments, this.payments.getAccountBalance, { accountId });
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
