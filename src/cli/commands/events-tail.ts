import { type Command, Option } from 'commander';
import { kafkaAddress, loadTopicConfig } from '../../config.ts';
import { kafkaClient } from '../../infra/kafka/client.ts';
import { type TailStart, type TopicRecord, tailTopic } from '../../infra/kafka/topic-tail.ts';
import { decode, EVENT_TYPES, eventLine, matches } from '../events.ts';
import { ExitCode } from '../exit-codes.ts';
import { KAFKA_VARIABLES, withUsage } from '../help.ts';
import { json } from '../output.ts';
import { parseCount, parseId, parseTime, settingsFor } from '../settings.ts';
import { silent } from '../silent.ts';

const ABOUT = `Shows the events on Kafka as they come, decoded, until Ctrl-C.

It reads in a consumer group of its own, payment-ledger-tail-…, which commits nothing and is deleted at the end.`;

interface Options {
  readonly account?: string;
  readonly payment?: string;
  readonly type?: string;
  readonly from?: Date;
  readonly fromBeginning?: boolean;
  readonly untilEnd?: boolean;
  readonly count?: number;
  readonly json?: boolean;
}

export function addTail(group: Command, end: (exitCode: ExitCode) => void): void {
  const command = group.command('tail').summary('show events as they come').description(ABOUT);
  command
    .option('--account <account-id>', 'only events of this account, and of payments from or to it')
    .option('--payment <payment-id>', 'only the events of this payment', parseId)
    .addOption(new Option('--type <type>', 'only these').choices(EVENT_TYPES))
    .option('--from <time>', 'from what was sent at this time on, as RFC 3339, and not only from now on', parseTime)
    .addOption(new Option('--from-beginning', 'from the first that the topic retains on').conflicts('from'))
    .option('--until-end', 'end where the topic ends now')
    .option('--count <n>', 'end after so many', parseCount)
    .option('--json', 'a line of JSON for each, for programs');
  withUsage(command, {
    examples: [
      'ledger events tail',
      'ledger events tail --account acc-001 --from 2026-11-01T00:00:00Z --until-end',
      'ledger events tail --payment 01M85Q3TTE820EZ9PCVSPH2JRN --from-beginning --until-end --json',
    ],
    environment: KAFKA_VARIABLES,
    exitCodes: { 0: 'done', 1: 'the command failed' },
  }).action(async (options: Options) => {
    await tail(settingsFor(command, loadTopicConfig), options);
    end(ExitCode.DONE);
  });
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

async function tail(config: ReturnType<typeof loadTopicConfig>, options: Options): Promise<void> {
  const kafka = kafkaClient({ ...kafkaAddress(config), clientId: 'payment-ledger-tail' }, silent);
  const start: TailStart = options.from ?? (options.fromBeginning ? 'BEGINNING' : 'NOW');
  const enough = new AbortController();
  const stop = () => enough.abort();
  for (const signal of SIGNALS) process.once(signal, stop);
  let shown = 0;
  const show = (record: TopicRecord) => {
    const event = decode(record);
    if (enough.signal.aborted || !matches(event, options)) return;
    console.log(options.json ? json(event) : eventLine(event));
    shown += 1;
    if (shown === options.count) enough.abort();
  };
  const place = { start, untilEnd: options.untilEnd ?? false };
  await tailTopic(kafka, config.KAFKA_TOPIC, place, show, enough.signal);
  for (const signal of SIGNALS) process.off(signal, stop);
}
