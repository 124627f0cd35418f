import { randomInt } from 'node:crypto';
import { createServer, type Server } from 'node:net';

/**
 * Where servers get their ports: below those that systems give to outgoing connections
 * (from 32768 on Linux). Otherwise, while a server is stopped, a connection could take
 * its port - even a client's own, which by chance connects to itself - and the server
 * could not come back.
 */
const LOWEST = 15_000;
const HIGHEST = 32_000;
const ATTEMPTS = 3;

/** The server could not have its port: someone else was quicker. */
export class PortTakenError extends Error {}

/** Ports on loopback that nothing listens on, all different. Another process may still be quicker. */
export async function freePorts(count: number): Promise<number[]> {
  const listeners: Server[] = [];
  const ports: number[] = [];
  while (ports.length < count) {
    const port = randomInt(LOWEST, HIGHEST);
    const listener = await listen(port);
    if (listener === undefined) continue;
    listeners.push(listener);
    ports.push(port);
  }
  await Promise.all(listeners.map((listener) => new Promise((closed) => listener.close(closed))));
  return ports;
}

/** Starts something on free ports, and on others if it throws PortTakenError; the first of them can be given. */
export async function onFreePorts<T>(
  count: number,
  start: (ports: number[]) => Promise<T>,
  first?: number,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(first === undefined ? await freePorts(count) : [first, ...(await freePorts(count - 1))]);
    } catch (error) {
      if (!(error instanceof PortTakenError) || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Whether something on loopback listens on the port already. */
export async function portTaken(port: number): Promise<boolean> {
  const listener = await listen(port);
  if (listener === undefined) return true;
  await new Promise((closed) => listener.close(closed));
  return false;
}

/** Undefined if the port is taken. */
function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const listener = createServer();
    listener.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    listener.listen(port, '127.0.0.1', () => resolve(listener));
  });
}
