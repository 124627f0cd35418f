import { connect, createServer, type Socket } from 'node:net';

/**
 * A proxy before Postgres that can cut a connection at the worst moment: it passes a
 * COMMIT on, waits until Postgres has answered it, and drops the answer and the
 * connection.
 */
export interface CuttingProxy {
  readonly url: string;
  /** How many of the next commits to cut. */
  cutCommits: number;
  /** How many were cut. */
  readonly cut: number;
  close(): Promise<void>;
}

/** The end of the simple query that ends the service's transactions, as it is on the wire. */
const COMMIT = Buffer.from('; commit\0');
/** Postgres' answer to it. Those to statements sent together with it come first. */
const COMMITTED = Buffer.from('COMMIT\0');

export async function startCuttingProxy(databaseUrl: string): Promise<CuttingProxy> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const server = connect(Number(target.port), target.hostname);
    let cutting = false;
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket
        .on('error', () => undefined)
        .on('close', () => {
          sockets.delete(socket);
          client.destroy();
          server.destroy();
        });
    }
    client.on('data', (bytes) => {
      if (proxy.cutCommits > 0 && bytes.includes(COMMIT)) {
        proxy.cutCommits -= 1;
        cutting = true;
      }
      server.write(bytes);
    });
    server.on('data', (bytes) => {
      if (!cutting) client.write(bytes);
      else if (bytes.includes(COMMITTED)) {
        proxy.cut += 1;
        client.destroy();
      }
    });
  });
  await new Promise<void>((listening) => listener.listen(0, '127.0.0.1', listening));
  const url = new URL(databaseUrl);
  url.port = String((listener.address() as { port: number }).port);
  const proxy = {
    url: url.href,
    cutCommits: 0,
    cut: 0,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => listener.close(closed));
    },
  };
  return proxy;
}
