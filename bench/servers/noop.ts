// The gRPC server by itself: the same server, settings and messages as the API's, with
// nothing behind them. What it reaches is the most that any service could reach here.
import '../../src/heap.ts';
import { pino } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { Access, UNAUTHENTICATED_CALLS } from '../../src/api/access/access.ts';
import { CallLog } from '../../src/api/call-log.ts';
import { Health } from '../../src/api/health.ts';
import { listen } from '../../src/api/listen.ts';
import { CallMetrics } from '../../src/api/metrics/call-metrics.ts';
import { createServer, SERVICES } from '../../src/api/server.ts';
import type { Account, Balance } from '../../src/app/domain/account.ts';
import type { Payment } from '../../src/app/domain/payment.ts';
import { firstBalance } from '../../src/app/domain/payment-balance.ts';
import { Outage } from '../../src/app/outage.ts';
import { connectionLimits } from '../../src/config/connections.ts';
import { CURRENCY } from '../load/accounts.ts';

const log = pino({ level: process.env['LOG_LEVEL'] ?? 'info' });
const registry = new Registry();
collectDefaultMetrics({ register: registry });

const at = new Date();
const payment: Payment = {
  actionId: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
  paymentId: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
  kind: 'PAYMENT',
  releasedCents: 0n,
  payerAccountId: 'bench-000000',
  payeeAccountId: 'bench-000001',
  amountCents: 1n,
  currency: CURRENCY,
  description: '',
  createdAt: at,
  verdict: { status: 'AUTHORIZED', payerVersion: 1n, payeeVersion: 1n },
};
const current = { ...payment, balance: firstBalance(payment) };
const balance: Balance = {
  accountId: 'bench-000000',
  currency: CURRENCY,
  overdraftLimitCents: 0n,
  availableCents: 1_000_000n,
  pendingCents: 0n,
  debitsFrozen: false,
  creditsFrozen: false,
  closed: false,
  incomingCents: 0n,
  version: 1n,
};
const account: Account = {
  accountId: balance.accountId,
  currency: CURRENCY,
  type: 'CUSTOMER',
  overdraftLimitCents: 0n,
  openedAt: at,
  debitsFrozen: false,
  creditsFrozen: false,
  closed: false,
  metadata: undefined,
  revision: 1n,
  changedAt: at,
};

const health = new Health({ services: SERVICES, probe: async () => undefined, log });
const limits = connectionLimits();
const server = createServer({
  limits,
  payments: {
    authorize: async () => ({ kind: 'DECIDED', action: payment }),
    hold: async () => ({ kind: 'DECIDED', action: payment, payment: current }),
    findPayment: async () => current,
    findPaymentByKey: async () => ({ ...current, keyOfBatch: undefined }),
  },
  laterActions: {
    capture: async () => ({ kind: 'DECIDED', action: payment, payment: current }),
    void: async () => ({ kind: 'DECIDED', action: payment, payment: current }),
    refund: async () => ({ kind: 'DECIDED', action: payment, payment: current }),
  },
  batches: { execute: async () => ({ kind: 'DECIDED', action: payment, items: [] }) },
  accounts: { balance: async () => balance, find: async () => account },
  accountChanges: {
    open: async () => ({ account, changed: false }),
    change: async () => ({ account, changed: false }),
  },
  reads: {
    payments: async () => ({ items: [], next: undefined }),
    accounts: async () => ({ items: [], next: undefined }),
    actions: async () => ({ items: [], next: undefined }),
    entries: async () => ({ items: [], next: undefined }),
    snapshot: async () => ({ currency: CURRENCY, version: 0n, balanceCents: 0n, pendingCents: 0n, entryAt: undefined }),
  },
  health,
  metrics: new CallMetrics(registry),
  callLog: new CallLog(log, new Outage({ began: () => undefined, ended: () => undefined })),
  access: new Access(UNAUTHENTICATED_CALLS, undefined, registry),
});
const { maxConnections } = limits;
const { address } = await listen(server, { host: '127.0.0.1', port: 0, maxConnections, log });
await health.start();
process.on('SIGTERM', () => process.exit());
log.info({ address }, 'noop ready');
