import { parseArgs } from 'node:util';

export interface Settings {
  readonly databaseUrl: string;
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly group: string;
}

export const HELP = `Keeps the latest balance of every account in a database of its own, from the events on Kafka.
Ctrl-C or SIGTERM stops it after the event that it is at; a second one, at once.

Usage:
  npm run consumer

Environment:
  CONSUMER_DATABASE_URL  where the balances go: postgres://user:password@host/database. Must be
                         set. The database and its tables are created if they are missing.
  KAFKA_BROKERS          host:port, comma-separated; 127.0.0.1:9092 if it is not set
  KAFKA_TOPIC            payment.events.v1 if it is not set
  CONSUMER_GROUP         whose members share the partitions; account-views if it is not set
  OTEL_EXPORTER_OTLP_ENDPOINT
                         where its traces go; without it there are none`;

/** What is wrong with the arguments or the environment, a line for each. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/** Of the arguments and the environment; undefined if help is asked for. Throws SettingsError. */
export function readSettings(args: string[], env: NodeJS.ProcessEnv): Settings | undefined {
  if (asksForHelp(args)) return undefined;
  const settings = {
    databaseUrl: env['CONSUMER_DATABASE_URL'] || '',
    brokers: (env['KAFKA_BROKERS'] || '127.0.0.1:9092').split(','),
    topic: env['KAFKA_TOPIC'] || 'payment.events.v1',
    group: env['CONSUMER_GROUP'] || 'account-views',
  };
  const problems = [
    !isPostgres(settings.databaseUrl) && 'CONSUMER_DATABASE_URL: must be a URL that starts with postgres://',
    !settings.brokers.every((broker) => /^[^\s:@/]+:\d{1,5}$/.test(broker)) &&
      'KAFKA_BROKERS: must be host:port, comma-separated',
    !/^[\w.-]{1,249}$/.test(settings.topic) && 'KAFKA_TOPIC: must be the name of a topic',
  ].filter((problem) => problem !== false);
  if (problems.length > 0) throw new SettingsError(problems.join('\n'));
  return settings;
}

function asksForHelp(args: string[]): boolean {
  try {
    return parseArgs({ args, options: { help: { type: 'boolean', short: 'h' } } }).values.help ?? false;
  } catch (error) {
    throw new SettingsError(error instanceof Error ? error.message : String(error));
  }
}

function isPostgres(text: string): boolean {
  return URL.canParse(text) && ['postgres:', 'postgresql:'].includes(new URL(text).protocol);
}
