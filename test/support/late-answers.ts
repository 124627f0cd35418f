import { connect, createServer, type Socket } from 'node:net';

/** A proxy before a server whose answers come late: what was asked is done meanwhile. */
export interface LateAnswers {
  /** host:port to call instead of the server. */
  readonly address: string;
  close(): Promise<void>;
}

export async function startLateAnswers(server: string, lateMs: number): Promise<LateAnswers> {
  const { hostname, port } = new URL(`tcp://${server}`);
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket
        .setNoDelay()
        .on('error', () => undefined)
        .on('close', () => {
          sockets.delete(socket);
          client.destroy();
          upstream.destroy();
        });
    }
    client.on('data', (bytes) => upstream.write(bytes));
    upstream.on('data', (bytes) => setTimeout(() => client.write(bytes), lateMs));
  });
  await new Promise<void>((listening) => listener.listen(0, '127.0.0.1', listening));
  return {
    address: `127.0.0.1:${(listener.address() as { port: number }).port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => listener.close(closed));
    },
  };
}
