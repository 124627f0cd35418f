import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface MetricsServerOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly registry: Registry;
  /** What is wrong with the process itself, so that an orchestrator should restart it; undefined if nothing. */
  readonly healthy: () => string | undefined;
  /** Why the process cannot do its work now, where a restart would not help; undefined if it can. */
  readonly ready: () => string | undefined;
}

export interface MetricsServer {
  /** host:port, with the port that was taken. */
  readonly address: string;
  /** Resolves when the port is free again; cuts off scrapes in flight. */
  close(): Promise<void>;
}

/**
 * Serves GET and HEAD of /metrics for Prometheus, and of /healthz and /readyz (200 or 503)
 * for orchestrators that do not speak gRPC. Rejects if the port is taken.
 */
export async function startMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    // A collector may ask a database that is unreachable, and a request may be anything: neither may end the process.
    answer(request, response, options).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else respond(response, 500, `failed: ${error instanceof Error ? error.message : error}`);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });

  const { address, family, port } = server.address() as AddressInfo;
  return {
    address: `${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        server.closeAllConnections();
      }),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, options: MetricsServerOptions) {
  const [pathname] = (request.url ?? '/').split('?', 1);
  // Node leaves the body out of what answers HEAD.
  if (request.method !== 'GET' && request.method !== 'HEAD') respond(response, 405, 'only GET and HEAD');
  else if (pathname === '/healthz') report(response, options.healthy());
  else if (pathname === '/readyz') report(response, options.ready());
  else if (pathname === '/metrics') await respondMetrics(response, options.registry);
  else respond(response, 404, 'try /metrics, /healthz or /readyz');
}

async function respondMetrics(response: ServerResponse, registry: Registry): Promise<void> {
  const metrics = await registry.metrics();
  response.writeHead(200, { 'content-type': registry.contentType }).end(metrics);
}

function report(response: ServerResponse, problem: string | undefined): void {
  respond(response, problem === undefined ? 200 : 503, problem ?? 'ok');
}

function respond(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
}
