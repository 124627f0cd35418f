import { Argument, type Command } from 'commander';
import { bashCompletion, zshCompletion } from '../completion.ts';
import { ExitCode } from '../exit-codes.ts';
import { withUsage } from '../help.ts';

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion };

const ABOUT = `Prints a script that completes the commands and options of ledger in a shell.

It completes the word ledger, so that word has to be a command: an alias, or a link to src/cli/main.ts in the PATH.`;

export function addCompletion(program: Command, end: (exitCode: ExitCode) => void): void {
  const command = program.command('completion').summary('print a completion script').description(ABOUT);
  command.addArgument(new Argument('<shell>').choices(Object.keys(SCRIPTS)));
  withUsage(command, {
    examples: ['source <(ledger completion bash)', 'source <(ledger completion zsh)'],
    exitCodes: { 0: 'done' },
  }).action((shell: keyof typeof SCRIPTS) => {
    console.log(SCRIPTS[shell](program));
    end(ExitCode.DONE);
  });
}
