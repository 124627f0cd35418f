import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createAuthority } from '../test/support/certificates.ts';
import { AUDIENCE, ISSUER, signingKey } from '../test/support/tokens.ts';
import type { Credentials } from './load/job.ts';

/** What an API needs to be told so that only callers with these credentials may call, and that it sends traces. */
export interface Secured {
  readonly env: Readonly<Record<string, string>>;
  readonly credentials: Credentials;
  /** Ends the collector of the traces. */
  close(): void;
}

const DAY_SECONDS = 86_400;

/** Mutual TLS, a JWT and traces at the default sampling, to a collector that takes all and keeps nothing. */
export async function secured(folder: string): Promise<Secured> {
  const authority = createAuthority();
  const server = authority.issue({ ipAddresses: ['127.0.0.1'] });
  const client = authority.issue({ uris: ['spiffe://bench/caller'] });
  const key = await signingKey('bench');
  const token = await key.token({ exp: Math.floor(Date.now() / 1_000) + DAY_SECONDS });

  const file = (name: string, text: string) => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const collector = createServer((request, response) => {
    request.resume().on('end', () => response.end('{}'));
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  const { port } = collector.address() as AddressInfo;
  return {
    env: {
      TLS_CERT_FILE: file('server.pem', server.cert),
      TLS_KEY_FILE: file('server.key', server.key),
      TLS_CLIENT_CA_FILE: file('ca.pem', authority.cert),
      AUTH_JWKS_FILE: file('jwks.json', JSON.stringify({ keys: [key.jwk] })),
      AUTH_ISSUER: ISSUER,
      AUTH_AUDIENCE: AUDIENCE,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    },
    credentials: { ca: authority.cert, cert: client.cert, key: client.key, token },
    close: () => collector.close(),
  };
}
