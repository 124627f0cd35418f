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

/** A whole number of 1 or more. */
export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It is a whole number, 1 or more.');
  return Number(text);
}

/** An amount in minor units, or a version: an int64 that is not negative. Whether zero will do is for the API to say. */
export function parseInt64(text: string): bigint {
  if (!/^\d{1,19}$/.test(text) || BigInt(text) >= 2n ** 63n) {
    throw new InvalidArgumentError('It is a whole number, zero or more.');
  }
  return BigInt(text);
}
