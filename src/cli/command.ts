import { type ParseArgsConfig, parseArgs } from 'node:util';
import { ConfigError } from '../config.ts';

// What the commands have in common. Each ends with 0 if all is well, 1 if it found
// something wrong or failed, 2 on a usage error.

/** What parseArgs makes of the command's arguments, or what is wrong with them. */
export function argumentsFrom<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> | string {
  try {
    return parseArgs(config);
  } catch (error) {
    // These are the user's errors: an unknown option, a value that is missing.
    if (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_')) {
      return error.message;
    }
    throw error;
  }
}

/** What load makes of the environment, or what is wrong with it. */
export function settingsFrom<T>(load: (env: NodeJS.ProcessEnv) => T): T | string {
  try {
    return load(process.env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

/** Says what is wrong with the usage and what would be right. Returns the exit code. */
export function usageError(message: string, help: string): number {
  console.error(`${message}\n\n${help}`);
  return 2;
}

/** Runs a command and sets the exit code; an error is told by its message, without a stack. */
export async function run(command: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await command();
  } catch (error) {
    console.error(messageOf(error));
    process.exitCode = 1;
  }
}

function messageOf(error: unknown): string {
  // Node tries each address of a host, and throws what all of them said.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
