import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { migrate } from './migrate.ts';
import { GuardedProcess } from './stack/guarded-process.ts';
import { type Stack, startStack } from './stack/stack.ts';

const ROOT = join(import.meta.dirname, '..');

/** Where `npm start` keeps its data. */
export const DATA_FOLDER = join(ROOT, '.local/data');

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
  readonly onProgress: (message: string) => void;
  /** Called if a process ends that should not have. */
  readonly onFailure: (error: Error) => void;
}

/** Starts the servers, brings the schema up to date, and starts API and relay. If one step fails, stops what was started. */
export async function startSystem({ dataDir, env, onProgress, onFailure }: SystemOptions): Promise<System> {
  const stack = await startStack({ dataDir, env, onProgress });
  const processes: GuardedProcess[] = [];
  const stop = async () => {
    // The relay goes last of the two, so that it can still publish what the API commits.
    for (const each of processes.toReversed()) await each.stop();
    await stack.stop();
  };
  const settings = {
    ...env,
    DATABASE_URL: stack.postgres.address,
    REDIS_URL: stack.redis.address,
    KAFKA_BROKERS: stack.kafka.address,
  };
  const start = async (name: string, script: string) => {
    onProgress(`starting the ${name}`);
    const { child, ready } = await startService(name, script, join(dataDir, `${name}.log`), settings, onFailure);
    processes.push(child);
    return ready;
  };
  try {
    await migrate(stack.postgres.address, onProgress);
    await start('relay', 'src/relay/main.ts');
    const { address } = await start('api', 'src/api/main.ts');
    return {
      stack,
      apiAddress: String(address),
      logs: ['api', 'relay'].map((name) => join(dataDir, `${name}.log`)),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Starts a process and waits for the log line that says it is ready. Throws with the end of its log if it ends before. */
async function startService(
  name: string,
  script: string,
  logFile: string,
  env: NodeJS.ProcessEnv,
  onFailure: (error: Error) => void,
) {
  await rm(logFile, { force: true });
  const child = new GuardedProcess({
    name,
    command: process.execPath,
    args: [join(ROOT, script)],
    env,
    logFile,
    stopSignal: 'SIGTERM',
  });
  await child.start();
  for (;;) {
    const lines = existsSync(logFile) ? (await readFile(logFile, 'utf8')).split('\n') : [];
    const line = lines.find((text) => text.includes(`"${name} ready"`));
    if (line !== undefined) {
      child.onUnexpectedExit(async () => onFailure(new Error(`The ${name} ended:\n${await child.lastLines()}`)));
      return { child, ready: JSON.parse(line) as { address?: string } };
    }
    if (!child.running) throw new Error(`The ${name} did not start:\n${await child.lastLines()}`);
    await new Promise((resume) => setTimeout(resume, 50));
  }
}
