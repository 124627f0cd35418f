import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import type { Logger } from 'pino';

export interface ListenOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** In clear without them. */
  readonly credentials?: ServerCredentials;
  /** The most connections at a time, those included that never send anything. */
  readonly maxConnections: number;
  readonly log: Logger;
}

export interface Listener {
  /** host:port */
  readonly address: string;
  /** Takes no more connections; resolves when those that are open have ended. */
  close(): Promise<void>;
}

/** A flood of connections is logged this often, in milliseconds. */
const LOG_EVERY_MS = 10_000;

/**
 * Starts to take calls. Rejects if the port is taken. The socket is ours, for grpc-js
 * takes any number of connections on those it opens itself.
 */
export async function listen(server: Server, options: ListenOptions): Promise<Listener> {
  const { host, port, credentials = ServerCredentials.createInsecure(), maxConnections, log } = options;
  const injector = server.createConnectionInjector(credentials);
  const listener = createServer((socket) => injector.injectConnection(socket));
  listener.maxConnections = maxConnections;
  listener.on('drop', dropLog(log, maxConnections));
  listener.listen(port, host);
  await once(listener, 'listening');
  // The system may be out of sockets; connections that are open go on, and so does the process.
  listener.on('error', (error) => log.warn({ err: error }, 'a connection could not be taken'));
  const bracketed = host.includes(':') ? `[${host}]` : host;
  return {
    address: `${bracketed}:${(listener.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => listener.close(() => resolve())),
  };
}

function dropLog(log: Logger, maxConnections: number): () => void {
  let dropped = 0;
  let loggedAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    dropped += 1;
    if (performance.now() - loggedAtMs < LOG_EVERY_MS) return;
    loggedAtMs = performance.now();
    log.warn({ maxConnections, dropped }, 'connections are closed at once: there are too many');
    dropped = 0;
  };
}
