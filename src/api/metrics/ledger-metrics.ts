import { Histogram, type Registry } from 'prom-client';
import type { Admission } from '../../app/admission.ts';
import type { GroupTransaction } from '../../app/batch-runner.ts';
import { ContendedError } from '../../app/errors.ts';
import type { GroupCommit } from '../../app/group-commit.ts';
import { Observations, readOnScrape } from './on-scrape.ts';

const WAIT_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const TRANSACTION_BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];

/** What group commit does: how payments wait, and the transactions that they share. */
export class LedgerMetrics {
  readonly #registry: Registry;
  readonly #waits = new Observations(WAIT_BUCKETS_S);
  readonly #seconds: Histogram<'outcome'>;
  readonly #payments: Histogram;

  constructor(registry: Registry) {
    this.#registry = registry;
    const name = 'payment_ledger_queue_wait_seconds';
    const help = 'How long a payment waited for its transaction to begin; again each time it was put back.';
    readOnScrape(registry, { name, help, type: 'histogram' }, () => this.#waits.readings(name, {}));
    this.#seconds = new Histogram({
      name: 'payment_ledger_transaction_seconds',
      help: 'Transactions of payments, from the wait for a connection to the end, by what became of them.',
      labelNames: ['outcome'],
      buckets: TRANSACTION_BUCKETS_S,
      registers: [registry],
    });
    for (const outcome of ['committed', 'contended', 'failed']) this.#seconds.zero({ outcome });
    this.#payments = new Histogram({
      name: 'payment_ledger_transaction_payments',
      help: 'Payments in a transaction: the batch size.',
      buckets: BATCH_BUCKETS,
      registers: [registry],
    });
  }

  /** Told how long each payment waited, in milliseconds. */
  readonly waited = (waitMs: number): void => this.#waits.observe(waitMs / 1_000);

  /** The same, with its transactions measured. */
  measured<Command, Outcome>(transaction: GroupTransaction<Command, Outcome>): GroupTransaction<Command, Outcome> {
    return {
      ...transaction,
      execute: async (commands, lockWaitMs) => {
        this.#payments.observe(commands.reduce((sum, command) => sum + (transaction.weightOf?.(command) ?? 1), 0));
        const end = this.#seconds.startTimer();
        try {
          const outcomes = await transaction.execute(commands, lockWaitMs);
          end({ outcome: 'committed' });
          return outcomes;
        } catch (error) {
          end({ outcome: error instanceof ContendedError ? 'contended' : 'failed' });
          throw error;
        }
      },
    };
  }

  /** Shows what waits now. */
  watch<Command, Outcome>(
    groupCommit: Pick<GroupCommit<Command, Outcome>, 'queued' | 'stuckLocks'>,
    admissions: Readonly<Record<string, Pick<Admission, 'inFlight' | 'queued'>>>,
  ): void {
    const one = (value: number) => [{ labels: {}, value }];
    const each = (read: (admission: Pick<Admission, 'inFlight' | 'queued'>) => number) =>
      Object.entries(admissions).map(([kind, admission]) => ({ labels: { kind }, value: read(admission) }));
    const gauge = { type: 'gauge' } as const;
    const queue = { name: 'payment_ledger_queue_length', help: 'Payments that wait for their transaction.' };
    readOnScrape(this.#registry, { ...gauge, ...queue }, () => one(groupCommit.queued));
    const stuck = { name: 'payment_ledger_stuck_locks', help: 'Locks now known to be stuck in other transactions.' };
    readOnScrape(this.#registry, { ...gauge, ...stuck }, () => one(groupCommit.stuckLocks.known));
    const waiting = { name: 'payment_ledger_stuck_lock_queue_length', help: 'Payments that wait for stuck locks.' };
    readOnScrape(this.#registry, { ...gauge, ...waiting }, () => one(groupCommit.stuckLocks.waiting));
    const found = { name: 'payment_ledger_stuck_locks_found_total', help: 'Locks that were found stuck.' };
    readOnScrape(this.#registry, { type: 'counter', ...found }, () => one(groupCommit.stuckLocks.found));
    const inFlight = { name: 'payment_ledger_admission_in_flight', help: 'Calls that are worked on, by kind.' };
    readOnScrape(this.#registry, { ...gauge, ...inFlight }, () => each((admission) => admission.inFlight));
    const queued = { name: 'payment_ledger_admission_queue_length', help: 'Calls that wait for their turn, by kind.' };
    readOnScrape(this.#registry, { ...gauge, ...queued }, () => each((admission) => admission.queued));
  }
}
