import { type ExecFileException, execFile } from 'node:child_process';
import { childEnvironment } from './child-environment.ts';

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a ledger command as a process of its own, with nothing in its environment but what it is given. */
export function runLedger(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...childEnvironment, ...env } };
    execFile(process.execPath, ['src/cli/main.ts', ...args], options, (error: ExecFileException | null, out, err) => {
      const code = error === null ? 0 : error.code;
      if (typeof code === 'number') resolve({ code, stdout: out, stderr: err });
      else reject(error);
    });
  });
}
