import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';

/** Paths by the variables that name them, so that messages can say which is meant. */
export type Paths = Readonly<Record<string, string>>;

export interface WatchOptions {
  /** How often the files are read, in milliseconds. */
  readonly everyMs: number;
  readonly log: Logger;
}

/** A file that is missing or makes no sense; the message names its variable. */
export class AccessFileError extends Error {
  override readonly name = 'AccessFileError';
}

/**
 * What some files say, kept up to date while the process runs: certificates, keys and
 * callers are replaced without a restart. The files are read, not watched by the
 * kernel, because mounted secrets change by a link to another folder. New contents that
 * make no sense leave the last good ones in force, with one warning.
 */
export class WatchedFiles<Value> {
  readonly #paths: Paths;
  readonly #parse: (contents: readonly Buffer[]) => Value;
  readonly #log: Logger;
  readonly #listeners: ((value: Value) => void)[] = [];
  #seen: readonly Buffer[];
  #problem: string | undefined;
  #value: Value;

  /** Reads the files for the first time; parse gets them in the order of paths. Throws AccessFileError. */
  static async open<Value>(
    paths: Paths,
    parse: (contents: readonly Buffer[]) => Value,
    options: WatchOptions,
  ): Promise<WatchedFiles<Value>> {
    try {
      const contents = await read(paths);
      return new WatchedFiles(paths, parse, contents, options);
    } catch (error) {
      throw new AccessFileError(`${describe(paths)}: ${(error as Error).message}`, { cause: error });
    }
  }

  private constructor(
    paths: Paths,
    parse: (contents: readonly Buffer[]) => Value,
    contents: readonly Buffer[],
    { everyMs, log }: WatchOptions,
  ) {
    this.#paths = paths;
    this.#parse = parse;
    this.#log = log;
    this.#seen = contents;
    this.#value = parse(contents);
    this.#again(everyMs);
  }

  get current(): Value {
    return this.#value;
  }

  onChange(listener: (value: Value) => void): void {
    this.#listeners.push(listener);
  }

  #again(everyMs: number): void {
    setTimeout(async () => {
      await this.#refresh();
      this.#again(everyMs);
    }, everyMs).unref();
  }

  /** Never throws. */
  async #refresh(): Promise<void> {
    try {
      const contents = await read(this.#paths);
      if (contents.every((bytes, index) => bytes.equals(this.#seen[index]!))) return this.#recovered();
      const value = this.#parse(contents);
      this.#seen = contents;
      this.#value = value;
      this.#problem = undefined;
      this.#log.info({ files: this.#paths }, 'files changed and are in force');
      for (const listener of this.#listeners) listener(value);
    } catch (error) {
      const problem = (error as Error).message;
      // Once, not every few seconds for as long as it lasts.
      if (problem === this.#problem) return;
      this.#problem = problem;
      this.#log.warn(
        { err: error, files: this.#paths },
        'changed files are not usable: the last good ones stay in force',
      );
    }
  }

  #recovered(): void {
    if (this.#problem === undefined) return;
    this.#problem = undefined;
    this.#log.info({ files: this.#paths }, 'the files are the last good ones again');
  }
}

function read(paths: Paths): Promise<Buffer[]> {
  return Promise.all(Object.values(paths).map((path) => readFile(path)));
}

function describe(paths: Paths): string {
  return Object.entries(paths)
    .map(([variable, path]) => `${variable} (${path})`)
    .join(', ');
}
