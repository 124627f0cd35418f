import { type Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { CallerConfig } from '../config/caller.ts';
import { AccountServiceClient } from '../gen/payment/v1/account.ts';
import { PaymentServiceClient } from '../gen/payment/v1/payment.ts';

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: { deadline: number },
  callback: (error: ServiceError | null, response: Response) => void,
) => unknown;

/** In clear, or encrypted and with the API's certificate and name verified. */
export function channelOf({ tls }: Pick<CallerConfig, 'tls'>) {
  if (tls === undefined) return credentials.createInsecure();
  return credentials.createSsl(bytes(tls.ca), bytes(tls.key), bytes(tls.cert));
}

function bytes(pem: string | undefined): Buffer | null {
  return pem === undefined ? null : Buffer.from(pem);
}

/** The API as the commands call it: one attempt for each call, with a deadline. */
export class Api {
  readonly payments: PaymentServiceClient;
  readonly accounts: AccountServiceClient;
  readonly #metadata = new Metadata();
  readonly #deadlineMs: number;

  constructor(config: CallerConfig) {
    const channel = channelOf(config);
    this.payments = new PaymentServiceClient(config.address, channel);
    this.accounts = new AccountServiceClient(config.address, channel);
    this.#deadlineMs = config.deadlineMs;
    if (config.token !== undefined) this.#metadata.set('authorization', `Bearer ${config.token}`);
  }

  /** Rejects with a gRPC ServiceError. */
  call<Request, Response>(client: Client, method: Unary<Request, Response>, request: Request): Promise<Response> {
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + this.#deadlineMs };
      method.call(client, request, this.#metadata, options, (error, response) =>
        error === null ? resolve(response) : reject(error),
      );
    });
  }

  close(): void {
    this.payments.close();
    this.accounts.close();
  }
}
