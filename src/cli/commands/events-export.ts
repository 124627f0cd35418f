import type { Command } from 'commander';
import { loadEventsConfig } from '../../config.ts';
import { ExitCode } from '../exit-codes.ts';
import { exportEvents } from '../export-events.ts';
import { DATABASE, KAFKA_VARIABLES, withUsage } from '../help.ts';
import { parseTime, settingsFor } from '../settings.ts';

const ABOUT = `Writes the events of all payments, made from the ledger, and where on the topic to go on after them: for a
consumer that begins when the topic's retention has passed its first events.

Lines of JSON. The first has the offset of each partition from which to read the topic; then a CloudEvent for each
payment, by payment id; the last has their number, without which the file is not whole. Events that come after the
offsets may be in the file already: drop them by their id, as any repeat. Payments go on meanwhile, and nothing is
locked. Progress goes to stderr.`;

interface Options {
  readonly since?: Date;
  readonly output?: string;
}

export function addExport(group: Command, end: (exitCode: ExitCode) => void): void {
  const command = group.command('export').summary('write a snapshot of all events to begin from').description(ABOUT);
  command
    .option('--since <time>', 'only payments that came in since then, as RFC 3339', parseTime)
    .option('--output <path>', 'a new file; stdout if it is left out');
  withUsage(command, {
    examples: [
      'ledger events export --output events.ndjson',
      'ledger events export --since 2026-11-01T00:00:00Z | gzip > events.ndjson.gz',
    ],
    environment: {
      DATABASE_URL: `${DATABASE}, as the application's or the reader's role; not a standby, which may be behind the topic`,
      ...KAFKA_VARIABLES,
      CE_SOURCE: 'as the relay has it; /payment-ledger if it is not set',
    },
    exitCodes: { 0: 'done', 1: 'the command failed' },
  }).action(async (options: Options) => {
    const events = await exportEvents(settingsFor(command, loadEventsConfig), options);
    console.error(`${events} events written`);
    end(ExitCode.DONE);
  });
}
