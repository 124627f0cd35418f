import { PortTakenError } from './free-port.ts';
import type { GuardedProcess } from './guarded-process.ts';

/** How long one attempt to reach a server may take; something else on its port may never answer. */
const PING_LIMIT_MS = 5_000;

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
  const reject = () => Promise.reject(new Error(`${name} at ${address} was not started here`));
  return {
    address,
    start: reject,
    kill: reject,
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

/**
 * Starts a server and waits until it answers. Throws with the end of its log if it does
 * not, PortTakenError if that is because its port is in use.
 */
export async function startServer(spec: LocalServerSpec): Promise<Server> {
  const { name, address, process, ping, startTimeoutMs, crashSignal } = spec;
  const start = async () => {
    await process.start();
    const deadline = Date.now() + startTimeoutMs;
    for (;;) {
      try {
        await withinLimit(ping());
        // Else it was someone else who answered, on a port that ours could not have.
        if (process.running) return;
        throw new Error(`${name} ended`);
      } catch (error) {
        if (process.running && Date.now() < deadline) {
          await new Promise((resume) => setTimeout(resume, 50));
          continue;
        }
        const how = process.running ? `did not answer within ${startTimeoutMs / 1000} s` : 'ended while it started';
        await process.stop();
        const message = `${name} ${how}. The end of its log:\n${await process.lastLines()}`;
        if (await process.printed('Address already in use')) throw new PortTakenError(message, { cause: error });
        throw new Error(message, { cause: error });
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

async function withinLimit(attempt: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${PING_LIMIT_MS / 1000} s`)), PING_LIMIT_MS);
  });
  try {
    await Promise.race([attempt, limit]);
  } finally {
    clearTimeout(timer);
  }
}
