import { type Command, InvalidArgumentError } from 'commander';
import { isTime } from '../api/time.ts';
import { isUlid, uuidToUlid } from '../app/ulid.ts';
import { ConfigError } from '../config.ts';
import { ExitCode } from './exit-codes.ts';

/** What load makes of the environment. Bad settings are a usage error. */
export function settingsFor<T>(
  command: Command,
  load: (env: NodeJS.ProcessEnv) => T,
  env: NodeJS.ProcessEnv = process.env,
): T {
  try {
    return load(env);
  } catch (error) {
    if (error instanceof ConfigError) return command.error(error.message, { exitCode: ExitCode.USAGE });
    throw error;
  }
}

/** A time as RFC 3339, its zone included: without one it would be another time on another machine. */
export function parseTime(text: string): Date {
  if (!isTime(text)) throw new InvalidArgumentError('A time is RFC 3339, such as 2026-11-01T00:00:00Z.');
  return new Date(text);
}

/** A payment's or event's id, as a ULID in either case or as the uuid that Postgres has; the ULID in capitals. */
export function parseId(text: string): string {
  if (isUlid(text.toUpperCase())) return text.toUpperCase();
  try {
    return uuidToUlid(text.toLowerCase());
  } catch {
    throw new InvalidArgumentError('An id is a ULID of 26 characters, or the uuid that Postgres has for it.');
  }
}
