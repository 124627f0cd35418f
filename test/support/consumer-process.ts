import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { childEnvironment } from './child-environment.ts';

export interface ConsumerProcess {
  readonly child: ChildProcess;
  /** What it has written so far, to either stream. */
  readonly lines: readonly string[];
  /** Sends the signal, waits for the end, and returns the exit code; null if the signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  /** Its exit code, once it has ended. */
  readonly exited: Promise<number | null>;
}

/** None outlives the tests. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts an example of a consumer, which sees nothing of our environment but the path and env. */
export function startConsumer(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): ConsumerProcess {
  const child = spawn(command, args, {
    env: { ...childEnvironment, NODE_NO_WARNINGS: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  running.add(child);
  child.once('exit', () => running.delete(child));
  for (const stream of [child.stdout!, child.stderr!]) createInterface(stream).on('line', (line) => lines.push(line));
  const exited = once(child, 'close').then(([code]) => code as number | null);
  return {
    child,
    lines,
    exited,
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      return await exited;
    },
  };
}
