import type { ServiceError } from '@grpc/grpc-js';
import type { Command } from 'commander';
import { type CallerConfig, loadCallerConfig } from '../config/caller.ts';
import { Api } from './api.ts';
import { toCommandError } from './api-errors.ts';
import { withUsage } from './help.ts';
import { settingsFor } from './settings.ts';

/** Options that stand for variables; one that names a file stands for the variable with _FILE. */
const OPTIONS = {
  address: ['--address <host:port>', 'LEDGER_ADDRESS', 'where the API is; 127.0.0.1:50051 if it is not set'],
  tls: ['--tls', 'LEDGER_TLS', '1 encrypts; so does a CA or a client certificate by itself'],
  caFile: ['--ca-file <path>', 'LEDGER_CA_FILE', 'PEM: authorities to trust instead of those that come with Node'],
  certFile: ['--cert-file <path>', 'LEDGER_CERT_FILE', 'PEM: the client certificate'],
  keyFile: ['--key-file <path>', 'LEDGER_KEY_FILE', 'PEM: its key'],
  tokenFile: ['--token-file <path>', 'LEDGER_TOKEN_FILE', 'a bearer token; LEDGER_TOKEN is the token itself'],
  deadlineMs: ['--deadline-ms <ms>', 'LEDGER_DEADLINE_MS', 'how long a call may take; 10000 if it is not set'],
} as const;

type Given = Partial<Record<keyof typeof OPTIONS, string | true>>;

const CODES = {
  0: 'done',
  1: 'the command failed',
  5: 'no answer, or one that asks to try again later',
  6: 'the caller is not known or may not do this',
} as const;

/** Adds what every command has in common that calls the API. */
export function withApiUsage(
  command: Command,
  examples: readonly string[],
  exitCodes: Parameters<typeof withUsage>[1]['exitCodes'],
): Command {
  command.optionsGroup('Options for the connection:');
  for (const [option, variable, meaning] of Object.values(OPTIONS)) command.option(option, `${meaning} (${variable})`);
  return withUsage(command, { examples, exitCodes: { ...CODES, ...exitCodes } });
}

/** Lends the API as options and variables say, and closes the connection. A failed call is a CommandError. */
export async function withApi<T>(command: Command, use: (api: Api) => Promise<T>): Promise<T> {
  const given: Given = command.opts();
  const config = settingsFor(command, (env) => namingOptions(given, () => loadCallerConfig(overlaid(env, given))));
  const api = new Api(config);
  try {
    return await use(api);
  } catch (error) {
    throw isServiceError(error) ? toCommandError(error, config) : error;
  } finally {
    api.close();
  }
}

/** The variables with the options in their place. */
function overlaid(env: NodeJS.ProcessEnv, given: Given): NodeJS.ProcessEnv {
  const result = { ...env };
  for (const [option, variable] of givenOptions(given)) {
    const plain = variable.replace(/_FILE$/, '');
    delete result[plain];
    delete result[`${plain}_FILE`];
    result[variable] = option === true ? '1' : option;
  }
  return result;
}

/** What is wrong with an option is told by its own name. */
function namingOptions(given: Given, load: () => CallerConfig): CallerConfig {
  try {
    return load();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    for (const [, variable, flag] of givenOptions(given)) {
      error.message = error.message.replaceAll(`${variable}`, flag);
    }
    throw error;
  }
}

function givenOptions(given: Given): [value: string | true, variable: string, flag: string][] {
  return Object.entries(OPTIONS).flatMap(([name, [option, variable]]) => {
    const value = given[name as keyof Given];
    return value === undefined ? [] : [[value, variable, option.split(' ')[0]!] as [typeof value, string, string]];
  });
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && 'details' in error && 'metadata' in error;
}
