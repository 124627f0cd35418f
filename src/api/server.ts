import { Server, type ServerOptions } from '@grpc/grpc-js';
import type { AccountChanges } from '../app/account-changes.ts';
import type { LaterActions } from '../app/later-actions.ts';
import type { PaymentBatches } from '../app/payment-batches.ts';
import type { Accounts, Payments } from '../app/payment-service.ts';
import type { Reads } from '../app/reads.ts';
import { AccountServiceService } from '../gen/payment/v1/account.ts';
import { PaymentServiceService } from '../gen/payment/v1/payment.ts';
import { authorizePayment } from './handlers/authorize-payment.ts';
import { capturePayment } from './handlers/capture-payment.ts';
import { closeAccount } from './handlers/close-account.ts';
import { executePaymentBatch } from './handlers/execute-payment-batch.ts';
import { freezeAccount } from './handlers/freeze-account.ts';
import { getAccount } from './handlers/get-account.ts';
import { getAccountBalance } from './handlers/get-account-balance.ts';
import { getBalanceSnapshot } from './handlers/get-balance-snapshot.ts';
import { getPayment } from './handlers/get-payment.ts';
import { holdPayment } from './handlers/hold-payment.ts';
import { listAccountEntries } from './handlers/list-account-entries.ts';
import { listAccounts } from './handlers/list-accounts.ts';
import { listPaymentActions } from './handlers/list-payment-actions.ts';
import { listPayments } from './handlers/list-payments.ts';
import { openAccount } from './handlers/open-account.ts';
import { refundPayment } from './handlers/refund-payment.ts';
import { unfreezeAccount } from './handlers/unfreeze-account.ts';
import { updateAccount } from './handlers/update-account.ts';
import { voidPayment } from './handlers/void-payment.ts';
import type { Health } from './health.ts';
import type { CallMetrics } from './metrics/call-metrics.ts';
import type { Reflection } from './reflection.ts';
import { addService, type Instruments } from './rpc.ts';

/** The services whose health is reported. */
export const SERVICES = ['payment.v1.PaymentService', 'payment.v1.AccountService'] as const;

/** A connection that does not answer a ping for so long, in milliseconds, is closed: its client has vanished. */
const KEEPALIVE_TIMEOUT_MS = 20_000;

/** What clients may do with their connections. */
export interface ConnectionLimits {
  /** Calls in flight on one connection. */
  readonly maxStreams: number;
  readonly maxRequestBytes: number;
  readonly maxResponseBytes: number;
  /** How long a connection may be silent before it is asked for a sign of life. */
  readonly keepaliveMs: number;
  /** How old a connection gets; 0 is any age. */
  readonly maxAgeMs: number;
  /** How long calls on a connection that is too old may take to finish. */
  readonly ageGraceMs: number;
}

export interface Services extends Instruments {
  readonly payments: Pick<Payments, 'authorize' | 'hold' | 'findPayment' | 'findPaymentByKey'>;
  readonly laterActions: Pick<LaterActions, 'capture' | 'void' | 'refund'>;
  readonly batches: Pick<PaymentBatches, 'execute'>;
  readonly accounts: Pick<Accounts, 'find' | 'balance'>;
  readonly accountChanges: Pick<AccountChanges, 'open' | 'change'>;
  readonly reads: Pick<Reads, 'payments' | 'actions' | 'accounts' | 'entries' | 'snapshot'>;
  readonly health: Health;
  /** Left out, nobody can ask which services there are. */
  readonly reflection?: Reflection | undefined;
  readonly limits: ConnectionLimits;
  readonly metrics: CallMetrics;
}

export function createServer({
  payments,
  laterActions,
  batches,
  accounts,
  accountChanges,
  reads,
  health,
  reflection,
  limits,
  metrics,
  ...instruments
}: Services): Server {
  const server = new Server(channelOptions(limits));
  const counted = metrics.named(server);
  addService(
    counted,
    PaymentServiceService,
    {
      authorizePayment: authorizePayment(payments),
      holdPayment: holdPayment(payments),
      capturePayment: capturePayment(laterActions),
      voidPayment: voidPayment(laterActions),
      refundPayment: refundPayment(laterActions),
      executePaymentBatch: executePaymentBatch(batches),
      getPayment: getPayment(payments),
      listPaymentActions: listPaymentActions(payments, reads),
      listPayments: listPayments(reads),
      getAccountBalance: getAccountBalance(accounts),
    },
    instruments,
  );
  addService(
    counted,
    AccountServiceService,
    {
      openAccount: openAccount(accountChanges),
      updateAccount: updateAccount(accountChanges),
      freezeAccount: freezeAccount(accountChanges),
      unfreezeAccount: unfreezeAccount(accountChanges),
      closeAccount: closeAccount(accountChanges),
      getAccount: getAccount(accounts),
      listAccounts: listAccounts(reads),
      listAccountEntries: listAccountEntries(reads),
      getBalanceSnapshot: getBalanceSnapshot(reads),
    },
    instruments,
  );
  health.addTo(counted);
  reflection?.addTo(counted);
  return server;
}

function channelOptions(limits: ConnectionLimits): ServerOptions {
  return {
    // Statistics that nobody reads cost time on every call.
    'grpc.enable_channelz': 0,
    'grpc.max_concurrent_streams': limits.maxStreams,
    'grpc.max_receive_message_length': limits.maxRequestBytes,
    'grpc.max_send_message_length': limits.maxResponseBytes,
    'grpc.keepalive_time_ms': limits.keepaliveMs,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    ...(limits.maxAgeMs > 0 && {
      'grpc.max_connection_age_ms': limits.maxAgeMs,
      'grpc.max_connection_age_grace_ms': limits.ageGraceMs,
    }),
  };
}
