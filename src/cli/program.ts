import { Command } from 'commander';
import { addDeadLetters } from './commands/dead-letters.ts';
import { addId } from './commands/id.ts';
import { addMigrate } from './commands/migrate.ts';
import { addOutbox } from './commands/outbox.ts';
import { addReplay } from './commands/replay.ts';
import { addVerify } from './commands/verify.ts';
import type { ExitCode } from './exit-codes.ts';
import { pathOf } from './help.ts';

const ABOUT = `The command line of Payment Ledger.

migrate, verify, outbox, dead-letters and replay are for operators: they speak to Postgres and Kafka, by the same
variables as the API and the relay (.env.example).`;

/** All commands. Each reports how it ends; a usage error is told on stderr and thrown as a CommanderError. */
export function ledgerProgram(end: (exitCode: ExitCode) => void): Command {
  const program = new Command('ledger').description(ABOUT).exitOverride().configureHelp({ helpWidth: 120 });
  for (const add of [addMigrate, addVerify, addOutbox, addDeadLetters, addReplay, addId]) add(program, end);
  for (const command of commandsOf(program)) {
    const usage = command.createHelp().commandUsage(command);
    command.helpCommand(false).showHelpAfterError(`Usage: ${usage}\n${pathOf(command)} --help says more.`);
  }
  return program;
}

/** The command and all below it. */
export function commandsOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(commandsOf)];
}
