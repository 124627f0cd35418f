import { ConfigError } from './environment.ts';

/** What load returns. Bad settings end the process, with a line for each. */
export function orExit<T>(load: () => T): T {
  try {
    return load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}
