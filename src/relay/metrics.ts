import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { AuditSample } from '../app/reconciliation/ports.ts';
import type { ReconciliationHistory } from '../app/reconciliation/reconcile-lately.ts';
import type { OutboxSample, PendingEvent } from './ports.ts';
import type { SampledGauges } from './sampled-gauges.ts';

/** What one worker counts about itself. */
export interface RelayMetrics {
  published(events: readonly PendingEvent[]): void;
  readonly retries: Counter;
  readonly deadLetters: Counter;
  readonly leaseLosses: Counter;
  readonly shardsOwned: Gauge;
  readonly shardsUnowned: Gauge;
}

/** What one worker knows of the jobs, whichever worker does them. */
export interface JobMetrics {
  readonly lastSuccess: Gauge<'job_name'>;
  readonly overdue: Gauge<'job_name'>;
  readonly failures: Counter<'job_name'>;
}

const LATENCY_BUCKETS_S = [0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600, 3_600];

export function relayMetrics(registry: Registry): RelayMetrics {
  const registers = [registry];
  const published = new Counter({
    name: 'payment_ledger_relay_published_total',
    help: 'Events that Kafka acknowledged to this worker, repeats included.',
    registers,
  });
  const latency = new Histogram({
    name: 'payment_ledger_relay_commit_to_ack_seconds',
    help: "From an event's creation, by the API's clock, to Kafka's acknowledgement, by the relay's.",
    buckets: LATENCY_BUCKETS_S,
    registers,
  });
  return {
    published(events) {
      published.inc(events.length);
      const nowMs = Date.now();
      for (const { createdAt } of events) latency.observe(Math.max(0, nowMs - createdAt.getTime()) / 1_000);
    },
    retries: new Counter({
      name: 'payment_ledger_relay_retries_total',
      help: 'Failures after which this worker tried a shard again.',
      registers,
    }),
    deadLetters: new Counter({
      name: 'payment_ledger_relay_dead_letters_total',
      help: 'Events this worker dead-lettered.',
      registers,
    }),
    leaseLosses: new Counter({
      name: 'payment_ledger_relay_lease_losses_total',
      help: 'Shards that another worker claimed from this one.',
      registers,
    }),
    shardsOwned: new Gauge({
      name: 'payment_ledger_relay_shards_owned',
      help: 'Shards this worker publishes.',
      registers,
    }),
    shardsUnowned: new Gauge({
      name: 'payment_ledger_relay_shards_unowned',
      help: 'Shards no worker owned when this one last looked; the same in every worker.',
      registers,
    }),
  };
}

/** The label is not `job`: Prometheus has that for what it scrapes, and would rename ours. */
export function jobMetrics(registry: Registry): JobMetrics {
  const same: { labelNames: 'job_name'[]; registers: Registry[] } = { labelNames: ['job_name'], registers: [registry] };
  return {
    lastSuccess: new Gauge({
      name: 'payment_ledger_relay_job_last_success_timestamp_seconds',
      help: 'When the job last succeeded, on any worker, as far as this one knows; left out before the first time.',
      ...same,
    }),
    overdue: new Gauge({
      name: 'payment_ledger_relay_job_overdue',
      help: '1 if no worker is known to have done the job for three of its intervals; 0 is well.',
      ...same,
    }),
    failures: new Counter({
      name: 'payment_ledger_relay_job_failures_total',
      help: 'Attempts at the job that failed on this worker.',
      ...same,
    }),
  };
}

/**
 * Gauges of the whole outbox. They are about the database and the same from every
 * worker, so take the maximum over workers.
 */
export function outboxGauges(gauges: SampledGauges, sample: () => Promise<OutboxSample>): void {
  gauges.add('outbox', sample, {
    payment_ledger_outbox_pending_events: [
      'Events in the outbox: committed, and not yet acknowledged by Kafka.',
      ({ pending }) => pending,
    ],
    payment_ledger_outbox_oldest_pending_seconds: [
      'Age of the oldest event in the outbox.',
      ({ oldestPendingSeconds }) => oldestPendingSeconds,
    ],
    payment_ledger_outbox_blocked_keys: [
      'Keys blocked by an event that Kafka rejected: dead letters.',
      ({ deadLetters }) => deadLetters,
    ],
    payment_ledger_outbox_blocked_events: [
      'Events blocked behind a dead letter of their key.',
      ({ blocked }) => blocked,
    ],
    payment_ledger_outbox_oldest_blocked_seconds: [
      'Age of the oldest dead letter or blocked event.',
      ({ oldestBlockedSeconds }) => oldestBlockedSeconds,
    ],
    payment_ledger_postgres_oldest_transaction_seconds: [
      'Age of the longest open transaction.',
      ({ oldestTransactionSeconds }) => oldestTransactionSeconds,
    ],
  });
}

/** When the books were last reconciled, by any worker, and what was found. */
export function booksGauges(gauges: SampledGauges, history: ReconciliationHistory): void {
  gauges.add('books', () => history.last(), {
    payment_ledger_books_problems: ['What the last reconciliation found wrong; 0 is well.', (last) => last?.problems],
    payment_ledger_books_reconciled_timestamp_seconds: [
      'When the last reconciliation began.',
      (last) => last && last.startedAt.getTime() / 1_000,
    ],
  });
}

/** What audits of events have found so far, by any worker. */
export function auditGauges(gauges: SampledGauges, sample: () => Promise<AuditSample | undefined>): void {
  gauges.add('audits', sample, {
    payment_ledger_events_missing: [
      'Payments whose event is neither on Kafka nor pending; 0 is well.',
      (audits) => audits?.missing,
    ],
    payment_ledger_events_orphaned: [
      'Records on Kafka that belong to no payment or do not match theirs, found in the last day; 0 is well.',
      (audits) => audits?.orphaned,
    ],
    payment_ledger_events_unverifiable: [
      'Payments audited in the last day whose events the topic no longer retains.',
      (audits) => audits?.unverifiable,
    ],
    payment_ledger_events_audited_to_timestamp_seconds: [
      'Payments that came in before then were audited.',
      (audits) => audits && audits.auditedToMs / 1_000,
    ],
  });
}
