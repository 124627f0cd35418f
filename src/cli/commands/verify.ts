import type { Command } from 'commander';
import type pg from 'pg';
import { kafkaAddress, loadCommandConfig, loadEventsConfig } from '../../config.ts';
import { ExitCode } from '../exit-codes.ts';
import { DATABASE, KAFKA_VARIABLES, withUsage } from '../help.ts';
import { json } from '../output.ts';
import { parseTime, settingsFor } from '../settings.ts';
import { booksReport, eventsReport, verifyBooks, verifyEvents } from '../verify.ts';
import { withPool } from '../with-pool.ts';

const ABOUT = `Proves that the books balance, or says where they do not.

Safe while payments go on: nothing is locked. Progress goes to stderr, the report to stdout.`;

const EVENTS = `compare the topic with all payments made until now, too: each has its event on Kafka, and no event is without a payment. Pending and discarded events need not be there; those from a time that the topic no longer retains are counted as unverifiable`;

interface Options {
  readonly events?: boolean;
  readonly since?: Date;
  readonly json?: boolean;
}

export function addVerify(program: Command, end: (exitCode: ExitCode) => void): void {
  const command = program.command('verify').summary('prove that the books balance').description(ABOUT);
  command
    .option('--events', EVENTS)
    .option('--since <time>', 'with --events, only payments since then, as RFC 3339', parseTime)
    .option('--json', 'for programs');
  withUsage(command, {
    examples: ['ledger verify', 'ledger verify --events', 'ledger verify --events --since 2026-11-01T00:00:00Z'],
    environment: {
      DATABASE_URL: `${DATABASE}, as the application's or the reader's role`,
      KAFKA_BROKERS: `with --events: ${KAFKA_VARIABLES.KAFKA_BROKERS}`,
      KAFKA_TOPIC: `with --events; ${KAFKA_VARIABLES.KAFKA_TOPIC}`,
    },
    exitCodes: { 0: 'all is well', 1: 'something is wrong or the command failed' },
  }).action(async (options: Options) => {
    if (options.since !== undefined && !options.events) {
      command.error('error: --since goes with --events', { exitCode: ExitCode.USAGE });
    }
    const config = settingsFor(command, loadCommandConfig);
    const eventsConfig = options.events ? settingsFor(command, loadEventsConfig) : undefined;
    // A large ledger takes a while to read.
    const well = await withPool(config.DATABASE_URL, 'verify', (pool) => verify(pool, eventsConfig, options), 0);
    end(well ? ExitCode.DONE : ExitCode.FAILED);
  });
}

/** Whether all is well. */
async function verify(
  pool: pg.Pool,
  config: ReturnType<typeof loadEventsConfig> | undefined,
  { since = new Date(0), json: asJson }: Options,
): Promise<boolean> {
  const books = await verifyBooks(pool);
  if (!asJson) console.log(booksReport(books));
  if (config === undefined) {
    if (asJson) console.log(json({ books }));
    return books.balance;
  }
  const events = await verifyEvents(pool, kafkaAddress(config), config.KAFKA_TOPIC, since);
  console.log(asJson ? json({ books, events }) : eventsReport(events));
  return books.balance && events.agree;
}
