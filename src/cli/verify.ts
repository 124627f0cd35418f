import type pg from 'pg';
import { type AuditTotals, auditEvents } from '../app/reconciliation/audit-events.ts';
import { type CurrencySum, RANGE_SIZE, reconcile } from '../app/reconciliation/books.ts';
import { type KafkaSettings, kafkaClient } from '../infra/kafka/client.ts';
import { kafkaEventLog } from '../infra/kafka/event-log.ts';
import { postgresAuditedEvents } from '../infra/postgres/reconciliation/audited-events.ts';
import { postgresBooks } from '../infra/postgres/reconciliation/books.ts';
import { estimateBooksRows, estimatePaymentsSince } from '../infra/postgres/reconciliation/row-estimates.ts';
import { showProgress } from './progress.ts';
import { silent } from './silent.ts';

/** More are only counted. */
const NAMED = 50;

export interface VerifiedBooks {
  readonly balance: boolean;
  readonly paymentsExamined: number;
  readonly currencies: readonly CurrencySum[];
  readonly problems: readonly string[];
}

export interface VerifiedEvents extends AuditTotals {
  readonly agree: boolean;
}

/** Examines the whole books. Throws if Postgres is unreachable. */
export async function verifyBooks(pool: pg.Pool): Promise<VerifiedBooks> {
  const books = postgresBooks(pool);
  const show = showProgress('rows of the books', await estimateBooksRows(pool));
  let examined = 0;
  const counted: typeof books = {
    ...books,
    async examine(...range) {
      const answer = await books.examine(...range);
      examined += answer.rows;
      show(examined);
      return answer;
    },
  };
  const { problems, paymentsExamined } = await reconcile(counted);
  const currencies = await books.sumCurrencies(RANGE_SIZE);
  return { balance: problems.length === 0, paymentsExamined, currencies, problems };
}

/** Compares the topic with the payments and changes of accounts since then. Throws if Postgres or Kafka are unreachable. */
export async function verifyEvents(
  pool: pg.Pool,
  address: Omit<KafkaSettings, 'clientId'>,
  topic: string,
  since: Date,
): Promise<VerifiedEvents> {
  const kafka = kafkaClient({ ...address, clientId: 'payment-ledger-verify' }, silent);
  const sources = { events: postgresAuditedEvents(pool), log: kafkaEventLog(kafka, topic) };
  const show = showProgress(`payments compared with topic ${topic}:`, await estimatePaymentsSince(pool, since));
  const totals = await auditEvents(sources, since, new Date(), ({ paymentsAudited }) => show(paymentsAudited));
  return { agree: totals.missing.length === 0 && totals.orphaned.length === 0, ...totals };
}

export function booksReport({ balance, paymentsExamined, currencies, problems }: VerifiedBooks): string {
  return [
    `${paymentsExamined} payments examined`,
    ...currencies.map(({ currency, sumCents }) => `${currency}: all balances together are ${sumCents}`),
    ...problems.map((problem) => `WRONG: ${problem}`),
    balance ? 'the books balance' : 'the books do not balance',
  ].join('\n');
}

export function eventsReport(events: VerifiedEvents): string {
  const { paymentsAudited, pending, missing, unverifiable, orphaned } = events;
  const lines = [
    `${paymentsAudited} payments and account changes looked for on Kafka; the events of ${pending} are pending`,
  ];
  if (unverifiable > 0) {
    lines.push(`${unverifiable} are from a time that the topic no longer retains: unverifiable`);
  }
  lines.push(...missing.slice(0, NAMED).map((id) => `WRONG: payment or account change ${id} has no event`));
  if (missing.length > NAMED) lines.push(`WRONG: and so have ${missing.length - NAMED} more; --json names all`);
  lines.push(...orphaned.slice(0, NAMED).map((problem) => `WRONG: ${problem}`));
  if (orphaned.length > NAMED) lines.push(`WRONG: and so do ${orphaned.length - NAMED} more records; --json names all`);
  lines.push(
    events.agree ? 'every payment and account change has its event' : 'the events do not agree with the books',
  );
  return lines.join('\n');
}
