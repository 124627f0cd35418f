import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Control {
  /** http://host:port */
  readonly address: string;
  close(): Promise<void>;
}

/**
 * GET /readyz answers 200 while the seeded books are there, POST /reset makes them anew.
 * On loopback, for tests. After a reset that failed the books are not ready until one succeeds.
 */
export async function startControl(port: number, reset: () => Promise<void>): Promise<Control> {
  let ready = true;
  // One reset after the other.
  let resets: Promise<void> = Promise.resolve();
  const resetInTurn = () => {
    const turn = resets.then(async () => {
      ready = false;
      await reset();
      ready = true;
    });
    resets = turn.catch(() => undefined);
    return turn;
  };
  const server = createServer(async (request, response) => {
    const answer = (status: number, text: string) => response.writeHead(status).end(text);
    const call = `${request.method} ${request.url}`;
    if (call === 'GET /readyz' || call === 'HEAD /readyz') answer(ready ? 200 : 503, ready ? 'ready\n' : 'not ready\n');
    else if (call === 'POST /reset') {
      await resetInTurn().then(
        () => answer(200, 'reset\n'),
        (error: Error) => answer(500, `${error.message}\n`),
      );
    } else answer(404, 'There are GET /readyz and POST /reset.\n');
  });
  await listen(server, port);
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
}
