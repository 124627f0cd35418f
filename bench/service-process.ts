import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SERVICE_NODE_ARGS } from '../tools/service-node-args.ts';
import { GuardedProcess } from '../tools/stack/guarded-process.ts';

const ROOT = join(import.meta.dirname, '..');

/** A process of ours that is up and serving. */
export interface ServiceProcess {
  readonly name: string;
  readonly pid: number;
  /** host:port of its gRPC; empty for one that has none. */
  readonly address: string;
  /** host:port of its metrics; empty for one that has none. */
  readonly metricsAddress: string;
  /** Ends it in good order; resolves when it is gone. */
  stop(): Promise<void>;
}

export interface ServiceSpec {
  /** What to call it here and in its log's name. */
  readonly name: string;
  readonly script: 'src/api/main.ts' | 'src/relay/main.ts' | 'bench/servers/noop.ts';
  readonly nodeArgs?: readonly string[];
  /** Where its log goes. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The message of the log line that says a process serves. */
const READY = {
  'src/api/main.ts': 'api ready',
  'src/relay/main.ts': 'relay ready',
  'bench/servers/noop.ts': 'noop ready',
};

/**
 * Starts a process with the settings given and defaults for all others, whatever the
 * environment holds. Throws with the end of its log if it does not come up.
 */
export async function startService({ name, script, nodeArgs = [], folder, env }: ServiceSpec): Promise<ServiceProcess> {
  const logFile = join(folder, `${name}.log`);
  await rm(logFile, { force: true });
  const child = new GuardedProcess({
    name,
    command: process.execPath,
    args: [...SERVICE_NODE_ARGS, ...nodeArgs, join(ROOT, script)],
    env: { ...UNSET, NODE_NO_WARNINGS: '1', GRPC_PORT: '0', METRICS_PORT: '0', ...KEPT_CONNECTIONS, ...env },
    logFile,
    stopSignal: 'SIGTERM',
  });
  await child.start();
  for (;;) {
    const lines = existsSync(logFile) ? (await readFile(logFile, 'utf8')).split('\n').slice(0, -1) : [];
    const line = lines.find((text) => text.includes(`"${READY[script]}"`));
    if (line !== undefined) {
      const { address = '', metricsAddress = '' } = JSON.parse(line) as { address?: string; metricsAddress?: string };
      return { name, pid: child.pid, address, metricsAddress, stop: () => child.stop() };
    }
    if (!child.running) throw new Error(`${name} did not start:\n${await child.lastLines()}`);
    await new Promise((resume) => setTimeout(resume, 25));
  }
}

/** Settings of API and relay that must not leak in from outside; an empty variable counts as not set. */
const UNSET = Object.fromEntries(
  Object.keys(process.env)
    .filter((name) =>
      /^(GRPC_|METRICS_|DATABASE_|REDIS_|KAFKA_|RATE_LIMIT_|GROUP_COMMIT_|RELAY_|SHUTDOWN_|LOG_LEVEL|OTEL_)/.test(name),
    )
    .map((name) => [name, '']),
);

/** The load's client of bare HTTP/2 frames opens its connections once. */
const KEPT_CONNECTIONS = { GRPC_MAX_CONNECTION_AGE_MS: '0' };
