import { CommanderError } from 'commander';
import { CommandError, ExitCode } from './exit-codes.ts';
import { ledgerProgram } from './program.ts';

/** Runs the command that the arguments name and returns the exit code; an error is told by its message, without a stack. */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode: ExitCode = ExitCode.DONE;
  try {
    await ledgerProgram((code) => {
      exitCode = code;
    }).parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    // commander has told it, and ends with 0 where help was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.DONE : ExitCode.USAGE;
    console.error(messageOf(error));
    return error instanceof CommandError ? error.exitCode : ExitCode.FAILED;
  }
}

function messageOf(error: unknown): string {
  // Node tries each address of a host, and throws what all of them said.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
