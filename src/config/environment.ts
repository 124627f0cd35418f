import { readFileSync } from 'node:fs';
import type { z } from 'zod';

/** Names every variable that is bad. Never holds a value, as that may be a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** A variable's value, and the name of the variable that it came from: its own, or its own and _FILE. */
interface Given {
  readonly value: string;
  readonly source: string;
}

/**
 * Reads variables from the environment. Each may be given as NAME, or as NAME_FILE with
 * the path of a file that holds the value, as secrets are mounted. Throws ConfigError.
 */
export function loadVariables<Shape extends z.ZodRawShape>(
  variables: z.ZodObject<Shape>,
  env: NodeJS.ProcessEnv,
): z.output<z.ZodObject<Shape>> {
  const given = new Map<string, Given>();
  const unusable = new Map<string, string>();
  for (const name of Object.keys(variables.shape)) {
    const found = find(name, env);
    if (typeof found === 'string') unusable.set(name, found);
    else if (found !== undefined) given.set(name, found);
  }
  const result = variables.safeParse(Object.fromEntries([...given].map(([name, { value }]) => [name, value])));
  if (result.success && unusable.size === 0) return result.data;

  const problems = [...unusable.values()];
  for (const { code, path, message } of result.error?.issues ?? []) {
    const name = path.join('.');
    const source = given.get(name)?.source;
    // What could not be read is not "not set" as well.
    if (unusable.has(name)) continue;
    problems.push(
      source === undefined && code === 'invalid_type' ? `${name} is not set` : `${source ?? name}: ${message}`,
    );
  }
  const lines = problems.map((problem) => `  ${problem}\n`).join('');
  throw new ConfigError(`Bad configuration:\n${lines}See .env.example for all variables.`);
}

/** Undefined if it is given in neither way; a text says what is wrong. */
function find(name: string, env: NodeJS.ProcessEnv): Given | string | undefined {
  // An empty variable is one that was not set: compose files and charts write them so.
  const value = env[name] || undefined;
  const source = `${name}_FILE`;
  const path = env[source] || undefined;
  if (path === undefined) return value === undefined ? undefined : { value, source: name };
  if (value !== undefined) return `${name} and ${source} are both set: leave one of them out`;
  try {
    // Editors and echo end a file with a newline that is no part of the secret.
    const content = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    return content === '' ? `${source} names an empty file` : { value: content, source };
  } catch (error) {
    // Without the path: it may be a secret that was meant for the other variable.
    return `${source} names a file that cannot be read: ${(error as NodeJS.ErrnoException).code}`;
  }
}
