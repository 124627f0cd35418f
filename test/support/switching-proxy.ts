import { connect, createServer, type Socket } from 'node:net';

/** One address for whichever server is the primary, as a virtual IP or HAProxy gives. */
export interface SwitchingProxy {
  /** The first server's database by this address. */
  readonly url: string;
  /** Sends everyone to another server: open connections are closed. */
  switchTo(serverUrl: string): void;
  close(): Promise<void>;
}

export async function startSwitchingProxy(serverUrl: string): Promise<SwitchingProxy> {
  let target = new URL(serverUrl);
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const server = connect(Number(target.port), target.hostname);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket);
      socket
        .on('error', () => undefined)
        .on('close', () => {
          sockets.delete(socket);
          other.destroy();
        });
      socket.pipe(other);
    }
  });
  await new Promise<void>((listening) => listener.listen(0, '127.0.0.1', listening));
  const url = new URL(serverUrl);
  url.port = String((listener.address() as { port: number }).port);
  const closeAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: url.href,
    switchTo(other) {
      target = new URL(other);
      closeAll();
    },
    async close() {
      closeAll();
      await new Promise((closed) => listener.close(closed));
    },
  };
}
