import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { SERVICE_NODE_ARGS } from '../../tools/service-node-args.ts';
import { childEnvironment } from './child-environment.ts';

export interface Service {
  readonly child: ChildProcess;
  /** The log line that said it was ready. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** What it has logged so far. */
  readonly log: readonly string[];
  /** Sends the signal, waits for the end, and returns the exit code; null if the signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Starts src/api/main.ts, of another folder's code if given, on a free port. Its gRPC address is ready['address']. */
export function startApi(env: Record<string, string>, folder?: string): Promise<Service> {
  return startService('src/api/main.ts', 'api ready', { GRPC_PORT: '0', METRICS_PORT: '0', ...env }, folder);
}

/** Starts src/relay/main.ts, likewise. */
export function startRelay(env: Record<string, string>, folder?: string): Promise<Service> {
  return startService('src/relay/main.ts', 'relay ready', { METRICS_PORT: '0', ...env }, folder);
}

/** None outlives the tests, even those of a test that ended while they were starting. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

async function startService(
  script: string,
  readyMessage: string,
  env: Record<string, string>,
  cwd = process.cwd(),
): Promise<Service> {
  const child = spawn(process.execPath, [...SERVICE_NODE_ARGS, script], {
    cwd,
    env: { ...childEnvironment, NODE_NO_WARNINGS: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log: string[] = [];
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  running.add(child);
  child.once('exit', () => running.delete(child));
  createInterface(child.stderr!).on('line', (line) => log.push(line));
  const ready = await new Promise<Record<string, unknown>>((resolve, reject) => {
    createInterface(child.stdout!).on('line', (line) => {
      log.push(line);
      if (line.includes(readyMessage)) resolve(JSON.parse(line));
    });
    exited.then(([code]) => reject(new Error(`${script} ended with ${code}:\n${log.join('\n')}`)), reject);
  });
  return {
    child,
    ready,
    log,
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      const [code] = await exited;
      return code;
    },
  };
}
