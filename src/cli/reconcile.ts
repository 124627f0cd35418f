// Reconciles the books in whole and, if asked, what is on Kafka with them.
import { type AuditTotals, auditEvents } from '../app/reconciliation/audit-events.ts';
import { RANGE_SIZE, reconcile } from '../app/reconciliation/books.ts';
import { kafkaAddress, loadCommandConfig, loadEventsConfig } from '../config.ts';
import { kafkaClient } from '../infra/kafka/client.ts';
import { kafkaEventLog } from '../infra/kafka/event-log.ts';
import { createPool } from '../infra/postgres/pool.ts';
import { postgresAuditedPayments } from '../infra/postgres/reconciliation/audited-payments.ts';
import { postgresBooks } from '../infra/postgres/reconciliation/books.ts';
import { argumentsFrom, run, settingsFrom, usageError } from './command.ts';

const HELP = `Proves that the books balance, or says where they do not. Safe while payments go on: nothing is locked.

Usage:
  npm run reconcile -- [--events [--since TIME]]
  npm run reconcile -- --help

In the image, node src/cli/reconcile.ts stands for npm run reconcile --.

Options:
  --events       compares the topic with all payments made until now, too: each has its event on Kafka, and no
                 event is without a payment. Pending and discarded events need not be there; those from a time that
                 the topic no longer retains are counted as unverifiable.
  --since TIME   with --events, only payments since then, as RFC 3339

Examples:
  npm run reconcile
  npm run reconcile -- --events --since 2026-11-01T00:00:00Z

Environment:
  DATABASE_URL    the database, as the application's or the reader's role
  KAFKA_BROKERS   with --events: host:port, comma-separated
  KAFKA_TOPIC     with --events; payment.events.v1 if it is not set
Further variables, for files with secrets and for TLS, are in .env.example.

Exit codes: 0 all is well, 1 something is wrong or the command failed, 2 usage error.
`;
const PROGRESS_EVERY_MS = 5_000;
/** More are only counted. */
const NAMED = 50;

type Pool = ReturnType<typeof createPool>;
type EventsConfig = ReturnType<typeof loadEventsConfig>;

/** What kafkajs meets on the way is told by the error that it ends in. */
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

await run(main);

async function main(): Promise<number> {
  const given = argumentsFrom({
    options: { events: { type: 'boolean' }, since: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (typeof given === 'string') return misuse(given);
  const { values } = given;
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const since = new Date(values.since ?? 0);
  if (Number.isNaN(since.getTime())) return misuse('--since is a time as RFC 3339.');
  if (values.since !== undefined && !values.events) return misuse('--since goes with --events.');
  const config = settingsFrom(loadCommandConfig);
  if (typeof config === 'string') return misuse(config);
  const eventsConfig = values.events ? settingsFrom(loadEventsConfig) : undefined;
  if (typeof eventsConfig === 'string') return misuse(eventsConfig);

  const pool = createPool({
    connectionString: config.DATABASE_URL,
    max: 1,
    applicationName: 'payment-ledger-reconcile',
    // A large ledger takes a while to read.
    queryTimeoutMs: 0,
    onIdleError: (error) => console.error(error.message),
  });
  try {
    const booksWrong = await reconcileBooks(pool);
    const eventsWrong = eventsConfig !== undefined && (await reconcileEvents(pool, eventsConfig, since));
    return booksWrong || eventsWrong ? 1 : 0;
  } finally {
    await pool.end();
  }
}

function misuse(message: string): number {
  return usageError(message, HELP);
}

/** Whether anything is wrong. */
async function reconcileBooks(pool: Pool): Promise<boolean> {
  const books = postgresBooks(pool);
  let shownAt = performance.now();
  const { problems, paymentsExamined } = await reconcile(books, (progress) => {
    if (progress.stage === undefined || performance.now() - shownAt < PROGRESS_EVERY_MS) return;
    shownAt = performance.now();
    const { stage, after, paymentsExamined: examined } = progress;
    console.log(`${examined} payments examined so far; at ${stage} ${after?.join(' ') ?? ''}`);
  });
  console.log(`${paymentsExamined} payments examined`);
  for (const { currency, sumCents } of await books.sumCurrencies(RANGE_SIZE)) {
    console.log(`${currency}: all balances together are ${sumCents}`);
  }
  for (const problem of problems) console.log(`WRONG: ${problem}`);
  console.log(problems.length === 0 ? 'the books balance' : 'the books do not balance');
  return problems.length > 0;
}

/** Whether anything is wrong. */
async function reconcileEvents(pool: Pool, config: EventsConfig, since: Date): Promise<boolean> {
  const kafka = kafkaClient({ ...kafkaAddress(config), clientId: 'payment-ledger-reconcile' }, silent);
  const topic = config.KAFKA_TOPIC;
  const sources = { payments: postgresAuditedPayments(pool), log: kafkaEventLog(kafka, topic) };
  const totals = await auditEvents(sources, since, new Date(), ({ paymentsAudited }) =>
    console.log(`${paymentsAudited} payments compared with topic ${topic} so far`),
  );
  return report(totals);
}

function report({ paymentsAudited, pending, missing, unverifiable, orphaned }: AuditTotals): boolean {
  console.log(`${paymentsAudited} payments looked for on Kafka; the events of ${pending} are pending`);
  if (unverifiable > 0) console.log(`${unverifiable} are from a time that the topic no longer retains: unverifiable`);
  for (const paymentId of missing.slice(0, NAMED)) console.log(`WRONG: payment ${paymentId} has no event`);
  if (missing.length > NAMED) console.log(`WRONG: and so have ${missing.length - NAMED} more payments`);
  for (const problem of orphaned.slice(0, NAMED)) console.log(`WRONG: ${problem}`);
  if (orphaned.length > NAMED) console.log(`WRONG: and so do ${orphaned.length - NAMED} more records`);
  const wrong = missing.length > 0 || orphaned.length > 0;
  console.log(wrong ? 'the events do not agree with the books' : 'every payment has its event');
  return wrong;
}
