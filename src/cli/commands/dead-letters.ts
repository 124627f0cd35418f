import type { Command } from 'commander';
import { loadCommandConfig } from '../../config.ts';
import { postgresDeadLetters } from '../../infra/postgres/outbox/dead-letters.ts';
import type { DeadLetter, DeadLetters } from '../../relay/ports.ts';
import { CommandError, ExitCode } from '../exit-codes.ts';
import { DATABASE, withUsage } from '../help.ts';
import { json, printable } from '../output.ts';
import { parseId, settingsFor } from '../settings.ts';
import { withPool } from '../with-pool.ts';

const ABOUT = `Lists, redrives or discards events that Kafka rejected for good. They block the later events of their keys.

Redrive once what Kafka rejected is put right, such as max.message.bytes of the topic. After a discard
consumers see a gap in the versions of both accounts; the discarded event is printed.`;

/** More at once are not for people to read. */
const LIST_LIMIT = 200;

const environment = { DATABASE_URL: `${DATABASE}, as the application's role` };

const CHANGES = {
  redrive: 'publish the event again, then those that it blocked, in order',
  discard: 'give the event up, and publish those that it blocked',
} as const;

interface Options {
  readonly json?: boolean;
}

export function addDeadLetters(program: Command, end: (exitCode: ExitCode) => void): void {
  const group = program.command('dead-letters').summary('list, redrive or discard rejected events').description(ABOUT);
  withUsage(group, {
    examples: ['ledger dead-letters list', 'ledger dead-letters redrive 01M85Q1GYJ02G9N66B2A2P3Z7A'],
    environment,
    exitCodes: { 0: 'done', 1: 'the command failed', 3: 'there is no such dead letter' },
  });
  addList(group, end);
  for (const action of ['redrive', 'discard'] as const) addChange(group, end, action);
}

function addList(group: Command, end: (exitCode: ExitCode) => void): void {
  const command = group.command('list').description('show them, oldest first').option('--json', 'for programs');
  withUsage(command, {
    examples: ['ledger dead-letters list'],
    environment,
    exitCodes: { 0: 'done', 1: 'the command failed' },
  }).action(async (options: Options) => {
    const letters = await withDeadLetters(command, (deadLetters) => deadLetters.list(LIST_LIMIT));
    console.log(options.json ? json({ deadLetters: letters }) : report(letters));
    end(ExitCode.DONE);
  });
}

function addChange(group: Command, end: (exitCode: ExitCode) => void, action: keyof typeof CHANGES): void {
  const command = group.command(action).description(CHANGES[action]);
  command.argument('<event-id>', 'ULID or uuid', parseId).option('--json', 'for programs');
  withUsage(command, {
    examples: [`ledger dead-letters ${action} 01M85Q1GYJ02G9N66B2A2P3Z7A`],
    environment,
    exitCodes: { 0: 'done', 1: 'the command failed', 3: 'there is no such dead letter' },
  }).action(async (eventId: string, options: Options) => {
    const letter = await withDeadLetters(command, (deadLetters) => deadLetters[action](eventId));
    if (letter === undefined) throw new CommandError(`There is no dead letter ${eventId}.`, ExitCode.NOT_FOUND);
    console.log(options.json ? json(letter) : changed(action, letter));
    end(ExitCode.DONE);
  });
}

function withDeadLetters<T>(command: Command, use: (deadLetters: DeadLetters) => Promise<T>): Promise<T> {
  const config = settingsFor(command, loadCommandConfig);
  return withPool(config.DATABASE_URL, 'dead-letters', (pool) => use(postgresDeadLetters(pool)));
}

function report(letters: readonly DeadLetter[]): string {
  if (letters.length === 0) return 'no dead letters';
  const lines = letters.flatMap((letter) => [
    `${letter.eventId}  ${letter.type}  key ${printable(letter.key)}  partition ${letter.shard}`,
    `  rejected ${letter.deadAt.toISOString()}: ${printable(letter.reason)}`,
    `  ${letter.blocked} later events of the key are blocked`,
  ]);
  if (letters.length === LIST_LIMIT) lines.push(`these are the oldest ${LIST_LIMIT}`);
  return lines.join('\n');
}

function changed(action: keyof typeof CHANGES, { eventId, blocked, key, payload }: DeadLetter): string {
  const behind = `${blocked} blocked events of key ${printable(key)} go on`;
  if (action === 'redrive') return `${eventId} will be published again, and ${behind}`;
  return `${eventId} is given up, and ${behind}. It was:\n${printable(payload)}`;
}
