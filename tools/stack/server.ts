import type { GuardedProcess } from './guarded-process.ts';

/** A server this process started, or one that was there already. */
export interface Server {
  /** The address for its clients: a URL, or host:port for Kafka. */
  readonly address: string;
  /** Starts it again, on the same port and data; resolves when it answers. */
  start(): Promise<void>;
  /** Stops it in good order; its data stays. */
  stop(): Promise<void>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  /** The id of its process. Throws for a server that is not ours. */
  readonly pid: number;
}

/** A server whose address came from the environment: ours to use, not to stop. */
export function foreignServer(name: string, address: string): Server {
  const refuse = () => Promise.reject(new Error(`${name} at ${address} was not started here`));
  return {
    address,
    start: refuse,
    kill: refuse,
    stop: async () => undefined,
    get pid(): number {
      throw new Error(`${name} at ${address} was not started here`);
    },
  };
}

export interface LocalServerSpec {
  readonly name: string;
  readonly address: string;
  readonly process: GuardedProcess;
  /** Resolves if the server answers its own protocol; tried until it does. */
  readonly ping: () => Promise<void>;
  readonly startTimeoutMs: number;
  readonly crashSignal?: NodeJS.Signals;
}

/** Starts a server and waits until it answers. Throws with the end of its log if it does not. */
export async function startServer(spec: LocalServerSpec): Promise<Server> {
  const { name, address, process, ping, startTimeoutMs, crashSignal } = spec;
  const start = async () => {
    await process.start();
    const deadline = Date.now() + startTimeoutMs;
    for (;;) {
      try {
        return await ping();
      } catch (error) {
        if (process.running && Date.now() < deadline) {
          await new Promise((resume) => setTimeout(resume, 50));
          continue;
        }
        const how = process.running ? `did not answer within ${startTimeoutMs / 1000} s` : 'ended while it started';
        await process.stop();
        throw new Error(`${name} ${how}. The end of its log:\n${await process.lastLines()}`, { cause: error });
      }
    }
  };
  await start();
  return {
    address,
    start,
    stop: () => process.stop(),
    kill: () => process.kill(crashSignal),
    get pid() {
      return process.pid;
    },
  };
}
