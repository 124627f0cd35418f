import { randomUUID } from 'node:crypto';
import { type Command, InvalidArgumentError } from 'commander';
import type { Api } from './api.ts';
import { withApi } from './api-command.ts';
import { CommandError, ExitCode } from './exit-codes.ts';

export interface KeyedOptions {
  readonly key?: string;
  readonly description?: string;
  readonly reference?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly json?: boolean;
}

/** Adds the options of each call that its key makes safe to repeat. */
export function withKeyAndNotes(command: Command, what: string): Command {
  return command
    .option('--key <key>', `the idempotency key, one for each ${what}; a new UUID if it is left out`)
    .option('--description <text>', 'for people')
    .option('--reference <text>', `what the ${what} is for in your own books`)
    .option('--metadata <key=value>', 'a note of your own; may be given several times', parseMetadata)
    .option('--json', 'for programs');
}

/** The fields of a request that these options stand for, with a new key if none was given. */
export function keyAndNotes({ key = randomUUID(), description = '', reference = '', metadata = {} }: KeyedOptions) {
  return { idempotencyKey: key, description, reference, metadata };
}

/** One call. Where no answer tells what became of it, the error says how to find out. */
export async function callWithKey<T>(command: Command, key: string, call: (api: Api) => Promise<T>): Promise<T> {
  try {
    return await withApi(command, call);
  } catch (error) {
    if (!(error instanceof CommandError) || error.exitCode !== ExitCode.UNAVAILABLE) throw error;
    const hint = `It may or may not be done. The same command with --key ${key} finds out, and never does it twice.`;
    throw new CommandError(`${error.message}\n${hint}`, error.exitCode, { cause: error });
  }
}

/** Adds one to those before. */
export function parseMetadata(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError('It is key=value.');
  if (Object.hasOwn(before, key)) throw new InvalidArgumentError(`There are two of key ${key}.`);
  return { ...before, [key]: value };
}
