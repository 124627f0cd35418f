import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { Accounts, Payments } from '../app/payment-service.ts';
import { AccountServiceService } from '../gen/payment/v1/account.ts';
import { PaymentServiceService } from '../gen/payment/v1/payment.ts';
import { authorizePayment } from './handlers/authorize-payment.ts';
import { getAccountBalance } from './handlers/get-account-balance.ts';
import { getPayment } from './handlers/get-payment.ts';
import { openAccount } from './handlers/open-account.ts';
import type { Health } from './health.ts';
import type { CallMetrics } from './metrics/call-metrics.ts';
import type { Reflection } from './reflection.ts';
import { addService, type Instruments } from './rpc.ts';

/** The services whose health is reported. */
export const SERVICES = ['payment.v1.PaymentService', 'payment.v1.AccountService'] as const;

const OPTIONS = {
  // Statistics that nobody reads cost time on every call.
  'grpc.enable_channelz': 0,
  // Calls in flight on one connection; without it one client can hold any number. It is
  // far more than keeps a replica busy, and a client with more waits instead of failing.
  'grpc.max_concurrent_streams': 1_000,
  // In bytes; ten times the largest valid request.
  'grpc.max_receive_message_length': 64 * 1024,
  // A client that vanished without closing its connection is noticed within 80 seconds.
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
} as const;

export interface Services extends Instruments {
  readonly payments: Pick<Payments, 'authorize' | 'findPayment'>;
  readonly accounts: Pick<Accounts, 'open' | 'balance'>;
  readonly health: Health;
  /** Left out, nobody can ask which services there are. */
  readonly reflection?: Reflection | undefined;
  readonly metrics: CallMetrics;
}

export function createServer({ payments, accounts, health, reflection, metrics, ...instruments }: Services): Server {
  const server = new Server(OPTIONS);
  const counted = metrics.named(server);
  addService(
    counted,
    PaymentServiceService,
    {
      authorizePayment: authorizePayment(payments),
      getPayment: getPayment(payments),
      getAccountBalance: getAccountBalance(accounts),
    },
    instruments,
  );
  addService(counted, AccountServiceService, { openAccount: openAccount(accounts) }, instruments);
  health.addTo(counted);
  reflection?.addTo(counted);
  return server;
}

/**
 * Starts to take calls and returns the address, host:port; port 0 takes a free one.
 * Rejects if the port is taken.
 */
export async function listen(
  server: Server,
  host: string,
  port: number,
  credentials = ServerCredentials.createInsecure(),
): Promise<string> {
  const bracketed = host.includes(':') ? `[${host}]` : host;
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${bracketed}:${port}`, credentials, (error, taken) => (error ? reject(error) : resolve(taken)));
  });
  return `${bracketed}:${bound}`;
}
