import { type Client, type ClientOptions, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { AccountServiceClient } from '../../src/gen/payment/v1/account.ts';
import { PaymentServiceClient } from '../../src/gen/payment/v1/payment.ts';

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: { deadline: number },
  callback: (error: ServiceError | null, response: Response) => void,
) => unknown;

/** The connection of LedgerClient, and a call as a promise. Calls end after 30 seconds unless told otherwise. */
export abstract class ServiceClient {
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

  close(): void {
    this.payments.close();
    this.accounts.close();
  }

  protected call<Request, Response>(
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
