import type { Command } from 'commander';
import type { ReplayRange } from '../../app/replay.ts';
import { loadCommandConfig, loadEventsConfig } from '../../config.ts';
import { ExitCode } from '../exit-codes.ts';
import { DATABASE, KAFKA_VARIABLES, withUsage } from '../help.ts';
import { replayToOutbox, replayToTopic } from '../replay.ts';
import { parseId, parseTime, settingsFor } from '../settings.ts';
import { withPool } from '../with-pool.ts';

const ABOUT = `Sends the events of past payments and changes of accounts again, made from the ledger, with their original ce_id
and the header ce_replayed: true. The relay publishes them behind what is in the outbox already. Safe to stop and to
run again: consumers drop by ce_id what they have seen.

With --to-topic they are sent to another topic, which must exist, past the outbox: for one consumer that starts over,
unnoticed by the others. Each key is in order by id there, changes of accounts first, and its partition is that of Kafka's own
partitioner, however many there are.`;

interface Options {
  readonly from?: Date;
  readonly to?: Date;
  readonly account?: string;
  readonly payment?: string;
  readonly toTopic?: string;
}

export function addReplay(program: Command, end: (exitCode: ExitCode) => void): void {
  const command = program
    .command('replay')
    .summary('send events of past payments and changes of accounts again')
    .description(ABOUT);
  command
    .option('--from <time>', 'what came in at this time or later, as RFC 3339', parseTime)
    .option('--to <time>', 'with --from: and before this time', parseTime)
    .option('--account <account-id>', 'changes of the account, then payments that moved its money, in their order')
    .option('--payment <payment-id>', 'one payment', parseId)
    .option('--to-topic <topic>', 'send them to this topic instead of the one that all consumers read');
  withUsage(command, {
    examples: [
      'ledger replay --from 2026-11-01T00:00:00Z --to 2026-11-02T00:00:00Z',
      'ledger replay --account acc-001',
      'ledger replay --payment 01M85Q3TTE820EZ9PCVSPH2JRN',
      'ledger replay --from 2026-11-01T00:00:00Z --to 2026-11-02T00:00:00Z --to-topic payment.events.rebuild',
    ],
    environment: {
      DATABASE_URL: `${DATABASE}, as the application's role`,
      KAFKA_BROKERS: `with --to-topic: ${KAFKA_VARIABLES.KAFKA_BROKERS}`,
      CE_SOURCE: 'with --to-topic, as the relay has it; /payment-ledger if it is not set',
    },
    exitCodes: {
      0: 'the events are in the outbox, or on the other topic',
      1: 'the command failed',
      3: 'there is no such account, payment or topic',
    },
  }).action(async (options: Options) => {
    const range = rangeOf(command, options);
    const { toTopic } = options;
    if (toTopic === undefined) {
      const config = settingsFor(command, loadCommandConfig);
      const count = await withPool(config.DATABASE_URL, 'replay', (pool) => replayToOutbox(pool, range));
      console.log(`${eventsAre(count)} in the outbox to be sent again`);
    } else {
      const config = settingsFor(command, loadEventsConfig);
      if (toTopic === config.KAFKA_TOPIC) {
        const message = `error: ${toTopic} is the topic that all consumers read: leave --to-topic out`;
        command.error(message, { exitCode: ExitCode.USAGE });
      }
      const count = await withPool(config.DATABASE_URL, 'replay', (pool) =>
        replayToTopic(pool, range, config, toTopic),
      );
      console.log(`${eventsAre(count)} on topic ${toTopic}`);
    }
    end(ExitCode.DONE);
  });
}

function eventsAre(count: number): string {
  return count === 1 ? '1 event is' : `${count} events are`;
}

function rangeOf(command: Command, { from, to, account, payment }: Options): ReplayRange {
  const misuse = (message: string) => command.error(`error: ${message}`, { exitCode: ExitCode.USAGE });
  const times = from !== undefined || to !== undefined;
  if (Number(times) + Number(account !== undefined) + Number(payment !== undefined) !== 1) {
    return misuse('say what to send: --from and --to, or --account, or --payment');
  }
  if (account !== undefined) return { kind: 'ACCOUNT', accountId: account };
  if (payment !== undefined) return { kind: 'PAYMENT', paymentId: payment };
  if (from === undefined || to === undefined) return misuse('--from and --to go together');
  return from < to ? { kind: 'TIME', from, to } : misuse('--from must be before --to');
}
