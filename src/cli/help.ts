import type { Command } from 'commander';
import type { ExitCode } from './exit-codes.ts';

/** What a command's help says beyond its arguments and options. */
export interface Usage {
  readonly examples: readonly string[];
  /** Variables by name, and what each is. */
  readonly environment?: Readonly<Record<string, string>>;
  /** What the exit codes mean besides 2, which is a usage error everywhere. */
  readonly exitCodes: Partial<Readonly<Record<ExitCode, string>>>;
}

export const DATABASE = 'the database';
export const KAFKA_VARIABLES = {
  KAFKA_BROKERS: 'host:port, comma-separated',
  KAFKA_TOPIC: 'payment.events.v1 if it is not set',
};

const MORE_VARIABLES = 'Further variables, for files with secrets and for TLS, are in .env.example.';

export function withUsage(command: Command, { examples, environment = {}, exitCodes }: Usage): Command {
  const names = Object.keys(environment);
  const width = Math.max(0, ...names.map(({ length }) => length));
  const sections = [`Example${examples.length === 1 ? '' : 's'}:\n${examples.map((line) => `  ${line}`).join('\n')}`];
  if (names.length > 0) {
    const lines = names.map((name) => `  ${name.padEnd(width)}   ${environment[name]}`);
    sections.push(`Environment:\n${lines.join('\n')}\n${MORE_VARIABLES}`);
  }
  const codes = Object.entries({ ...exitCodes, 2: 'usage error' }).map(([code, meaning]) => `${code} ${meaning}`);
  sections.push(`Exit codes: ${codes.join('\n            ')}`);
  return command.addHelpText('after', `\n${sections.join('\n\n')}`);
}

/** How the command is called, such as ledger dead-letters list. */
export function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
