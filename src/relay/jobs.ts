import type { AuditSources } from '../app/reconciliation/audit-events.ts';
import { auditLately } from '../app/reconciliation/audit-lately.ts';
import type { Books } from '../app/reconciliation/books.ts';
import { expireKeys, type IdempotencyKeys } from '../app/reconciliation/expire-keys.ts';
import type { AuditRecords } from '../app/reconciliation/ports.ts';
import { type ReconciliationHistory, reconcileRecent, reconcileWhole } from '../app/reconciliation/reconcile-lately.ts';
import type { Job } from './job-runner.ts';
import type { Logger, OutboxSample } from './ports.ts';

export interface JobServices {
  readonly books: Books;
  readonly history: ReconciliationHistory;
  readonly keys: IdempotencyKeys;
  readonly audit: AuditSources & { readonly records: AuditRecords };
  readonly sampleOutbox: () => Promise<OutboxSample>;
  readonly log: Logger;
}

export interface JobSettings {
  readonly reconcileEveryMs: number;
  /** 0 is never. */
  readonly auditEventsEveryMs: number;
  /** Undefined keeps idempotency keys for ever. */
  readonly keyRetentionDays: number | undefined;
}

const MINUTE_MS = 60_000;
/** An event that is pending for so long is worth a line in the log. */
const LATE_SECONDS = 60;
/** So is a transaction behind which nothing can be vacuumed. */
const LONG_TRANSACTION_SECONDS = 300;

/** The jobs, and how often each is done. */
export function jobs(
  services: JobServices,
  { reconcileEveryMs, auditEventsEveryMs, keyRetentionDays }: JobSettings,
): Job[] {
  const { keys, log } = services;
  const all: Job[] = [
    reconciliation(services, 'reconcile', reconcileEveryMs, reconcileRecent),
    // It does a part of the work each time, and nothing while none is due.
    reconciliation(services, 'reconcile-whole', MINUTE_MS, reconcileWhole),
    {
      name: 'sample-outbox',
      everyMs: MINUTE_MS,
      async run() {
        const sample = await services.sampleOutbox();
        if (sample.deadLetters > 0) log.warn({ ...sample }, 'there are dead letters, to be redriven or discarded');
        if (sample.oldestPendingSeconds > LATE_SECONDS) log.warn({ ...sample }, 'events are late');
        if (sample.oldestTransactionSeconds > LONG_TRANSACTION_SECONDS) log.warn({ ...sample }, 'a transaction is old');
        return sample;
      },
    },
  ];
  if (auditEventsEveryMs > 0) all.push(auditEvents(services, auditEventsEveryMs));
  if (keyRetentionDays !== undefined) {
    all.push({
      name: 'expire-idempotency-keys',
      everyMs: 60 * MINUTE_MS,
      run: async () => ({ expired: await expireKeys(keys, keyRetentionDays) }),
    });
  }
  return all;
}

function reconciliation(
  { books, history, log }: JobServices,
  name: string,
  everyMs: number,
  reconcile: typeof reconcileRecent,
): Job {
  return {
    name,
    everyMs,
    async run(signal) {
      const { problems, ...counts } = await reconcile(books, history, signal);
      for (const problem of problems) log.error({ problem }, 'the books do not balance');
      return { problems: problems.length, ...counts };
    },
  };
}

/** Lines of one audit about events that the books do not have. */
const LOGGED = 100;

function auditEvents({ audit, log }: JobServices, everyMs: number): Job {
  return {
    name: 'audit-events',
    everyMs,
    async run(signal) {
      const { missingIds, orphaned, ...counts } = await auditLately(audit, audit.records, signal);
      if (counts.rejected > 0)
        log.error({ rejected: counts.rejected }, 'audits went beyond the present and are repeated: a clock is wrong');
      for (const eventId of missingIds)
        log.error({ eventId }, 'a payment or account change has no event, neither on Kafka nor pending');
      for (const problem of orphaned.slice(0, LOGGED))
        log.error({ problem }, 'Kafka has an event that the books do not');
      if (orphaned.length > LOGGED)
        log.error({ more: orphaned.length - LOGGED }, 'Kafka has more such events: event_audits names all');
      if (counts.unverifiable > 0)
        log.warn({ ...counts }, 'events are unverifiable: the topic no longer retains what was sent in their time');
      return { ...counts, orphaned: orphaned.length };
    },
  };
}
