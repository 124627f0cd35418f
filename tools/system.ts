import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { migrate } from '../src/cli/migrate.ts';
import { rejectForeignAccounts } from './foreign-accounts.ts';
import { apiMetricsPort, localPorts, rejectTakenPorts } from './process-ports.ts';
import { SERVICE_NODE_ARGS } from './service-node-args.ts';
import { GuardedProcess } from './stack/guarded-process.ts';
import { applicationAddress, createApplicationLogin } from './stack/postgres.ts';
import { type Stack, startStack } from './stack/stack.ts';

const ROOT = join(import.meta.dirname, '..');

/** Where `npm start` keeps its data. */
export const DATA_FOLDER = join(ROOT, '.local/data');

/** Where `npm run demo` has its data while it runs. */
export const DEMO_FOLDER = join(ROOT, '.local/demo');

/** Where `npm start -- --seed` has its data; each start begins with nothing. */
export const SEEDED_FOLDER = join(ROOT, '.local/seeded');

export interface System {
  readonly stack: Stack;
  /** host:port of the gRPC API. */
  readonly apiAddress: string;
  /** Where the processes log. */
  readonly logs: readonly string[];
  /** Stops everything that was started here, in order. */
  stop(): Promise<void>;
}

export interface SystemOptions {
  readonly dataDir: string;
  /** Settings for API and relay, and addresses of servers to use instead of our own. */
  readonly env: NodeJS.ProcessEnv;
  /** False where something else publishes the outbox. */
  readonly relay?: boolean;
  readonly onProgress: (message: string) => void;
  /** Gives up the start. */
  readonly signal: AbortSignal;
  /** Called if a process ends that should not have. */
  readonly onFailure: (error: Error) => void;
}

/** Starts the servers, brings the schema up to date, and starts API and relay. If one step fails, stops what was started. */
export async function startSystem(options: SystemOptions): Promise<System> {
  const { dataDir, env, relay = true, onProgress, signal, onFailure } = options;
  await rejectTakenPorts(env);
  const stack = await startStack({ dataDir, env, ports: localPorts(env), onProgress });
  const processes: GuardedProcess[] = [];
  const stop = async () => {
    // The relay goes last of the two, so that it can still publish what the API commits.
    for (const each of processes.toReversed()) await each.stop();
    await stack.stop();
  };
  const settings = {
    ...env,
    // On a server of somebody else's, the role is theirs to choose.
    DATABASE_URL: env['DATABASE_URL'] || applicationAddress(stack.postgres.address),
    REDIS_URL: stack.redis.address,
    KAFKA_BROKERS: stack.kafka.address,
    // Their logs go to files, and one line of them says that they are ready.
    LOG_LEVEL: env['LOG_LEVEL'] === 'debug' || env['LOG_LEVEL'] === 'trace' ? env['LOG_LEVEL'] : 'info',
  };
  const start = async (name: string, script: string, extra: NodeJS.ProcessEnv = {}) => {
    signal.throwIfAborted();
    onProgress(`starting the ${name}`);
    const logFile = join(dataDir, `${name}.log`);
    await rm(logFile, { force: true });
    const child = new GuardedProcess({
      name,
      command: process.execPath,
      args: [...SERVICE_NODE_ARGS, join(ROOT, script)],
      env: { ...settings, ...extra },
      logFile,
      stopSignal: 'SIGTERM',
    });
    processes.push(child);
    await child.start();
    const ready = await untilReady(name, child, logFile, signal);
    child.onUnexpectedExit(async () => onFailure(new Error(`The ${name} ended:\n${await child.lastLines()}`)));
    return ready;
  };
  try {
    // Before anything is written there.
    if (env['DATABASE_URL']) await rejectForeignAccounts(stack.postgres.address, env);
    await migrate(stack.postgres.address, onProgress);
    if (!env['DATABASE_URL']) await createApplicationLogin(stack.postgres.address);
    if (relay) await start('relay', 'src/relay/main.ts');
    const beside = apiMetricsPort(env);
    const { address } = await start('api', 'src/api/main.ts', beside === undefined ? {} : { METRICS_PORT: beside });
    return {
      stack,
      apiAddress: String(address),
      logs: ['api', ...(relay ? ['relay'] : [])].map((name) => join(dataDir, `${name}.log`)),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const READY_WITHIN_MS = 60_000;

/** Waits for the log line that says it is ready. Throws with the end of its log if it ends before, or takes too long. */
async function untilReady(
  name: string,
  child: GuardedProcess,
  logFile: string,
  signal: AbortSignal,
): Promise<{ readonly address?: string }> {
  const deadline = Date.now() + READY_WITHIN_MS;
  for (;;) {
    const lines = existsSync(logFile) ? (await readFile(logFile, 'utf8')).split('\n') : [];
    const line = lines.find((text) => text.includes(`"${name} ready"`));
    if (line !== undefined) return JSON.parse(line);
    signal.throwIfAborted();
    if (!child.running) throw new Error(`The ${name} did not start:\n${await child.lastLines()}`);
    if (Date.now() > deadline) {
      throw new Error(`The ${name} was not ready within ${READY_WITHIN_MS / 1_000} s:\n${await child.lastLines()}`);
    }
    await new Promise((resume) => setTimeout(resume, 50));
  }
}
