import { type ExecFileException, execFile } from 'node:child_process';
import { vi } from 'vitest';
import { run } from '../../src/cli/run.ts';
import { childEnvironment } from './child-environment.ts';

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a ledger command as a process of its own, with nothing in its environment and on stdin but what it is given. */
export function runLedger(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  stdin = '',
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...childEnvironment, ...env } };
    const child = execFile(
      process.execPath,
      ['src/cli/main.ts', ...args],
      options,
      (error: ExecFileException | null, out, err) => {
        const code = error === null ? 0 : error.code;
        if (typeof code === 'number') resolve({ code, stdout: out, stderr: err });
        else reject(error);
      },
    );
    child.stdin!.end(stdin);
  });
}

/**
 * Runs a ledger command in this process, with no more in its environment: most of what a
 * command costs is the start of Node. One at a time, as it has the process's output to itself.
 */
export async function runLedgerHere(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const said = { stdout: '', stderr: '' };
  const writer = (stream: keyof typeof said, end: string) => (text: unknown) => {
    said[stream] += `${text}${end}`;
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(writer('stdout', '')),
    vi.spyOn(process.stderr, 'write').mockImplementation(writer('stderr', '')),
    vi.spyOn(console, 'log').mockImplementation(writer('stdout', '\n')),
    vi.spyOn(console, 'error').mockImplementation(writer('stderr', '\n')),
  ];
  const ownEnvironment = process.env;
  process.env = { ...env };
  try {
    return { code: await run(args), ...said };
  } finally {
    process.env = ownEnvironment;
    for (const spy of spies) spy.mockRestore();
  }
}
