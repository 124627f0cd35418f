import type { Registry } from 'prom-client';
import type { Admission } from '../app/admission.ts';
import type { PaymentCommand } from '../app/commands.ts';
import type { Outcome } from '../app/decide-payments.ts';
import { ExpirySweeper } from '../app/expiry-sweeper.ts';
import { ExternalPayers } from '../app/external-payers.ts';
import type { GroupCommit } from '../app/group-commit.ts';
import { LaterActions } from '../app/later-actions.ts';
import type { Outage } from '../app/outage.ts';
import { PaymentBatches } from '../app/payment-batches.ts';
import { Payments } from '../app/payment-service.ts';
import type { BatchRateLimiter, Ledger } from '../app/ports.ts';
import { monotonicUlids } from '../app/ulid.ts';
import { PaymentMetrics } from './metrics/payment-metrics.ts';

/** Whatever decides on payments: all of it by the same queue, with the same ids, and counted. */
export function paymentServices(
  groupCommit: GroupCommit<PaymentCommand, Outcome>,
  limiter: BatchRateLimiter,
  ledger: Ledger,
  { reads, actions }: Record<'reads' | 'actions', Admission>,
  registry: Registry,
  expiryOutage: Outage,
  maxAnswerBytes?: number,
) {
  // Monotonic, so that ids made within one millisecond are in order too.
  const newId = monotonicUlids();
  const externalPayers = new ExternalPayers();
  const metrics = new PaymentMetrics(registry);
  return {
    newId,
    payments: metrics.counted(new Payments(groupCommit, limiter, ledger, reads, newId, externalPayers)),
    laterActions: metrics.countedLater(new LaterActions(groupCommit, limiter, ledger, actions, newId, externalPayers)),
    batches: metrics.countedBatches(
      new PaymentBatches(groupCommit, limiter, ledger, actions, newId, externalPayers, maxAnswerBytes),
    ),
    sweeper: new ExpirySweeper(groupCommit, ledger, newId, { expired: metrics.expired, outage: expiryOutage }),
  };
}
