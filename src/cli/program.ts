import { Command } from 'commander';
import { addAccounts } from './commands/accounts.ts';
import { addBalance } from './commands/balance.ts';
import { addBatch } from './commands/batch.ts';
import { addCapture } from './commands/capture.ts';
import { addCompletion } from './commands/completion.ts';
import { addDeadLetters } from './commands/dead-letters.ts';
import { addEvents } from './commands/events.ts';
import { addHold } from './commands/hold.ts';
import { addId } from './commands/id.ts';
import { addMigrate } from './commands/migrate.ts';
import { addOutbox } from './commands/outbox.ts';
import { addPay } from './commands/pay.ts';
import { addPayment } from './commands/payment.ts';
import { addRefund } from './commands/refund.ts';
import { addReplay } from './commands/replay.ts';
import { addStatement } from './commands/statement.ts';
import { addVerify } from './commands/verify.ts';
import { addVoid } from './commands/void.ts';
import type { ExitCode } from './exit-codes.ts';
import { pathOf } from './help.ts';

const ABOUT = `The command line of Payment Ledger.

The commands for callers speak to the API; those for operators speak to Postgres and Kafka, by the same variables as
the API and the relay (.env.example).`;

const GROUPS = {
  'Commands for callers:': [
    addAccounts,
    addPay,
    addHold,
    addCapture,
    addVoid,
    addRefund,
    addBatch,
    addPayment,
    addBalance,
    addStatement,
  ],
  'Commands for operators:': [addMigrate, addVerify, addOutbox, addDeadLetters, addReplay, addEvents],
  'Other commands:': [addId, addCompletion],
};

/** All commands. Each reports how it ends; a usage error is told on stderr and thrown as a CommanderError. */
export function ledgerProgram(end: (exitCode: ExitCode) => void): Command {
  const program = new Command('ledger').description(ABOUT).exitOverride().configureHelp({ helpWidth: 120 });
  for (const [title, commands] of Object.entries(GROUPS)) {
    program.commandsGroup(title);
    for (const add of commands) add(program, end);
  }
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
