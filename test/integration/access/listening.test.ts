import { afterAll, beforeAll, expect, test } from 'vitest';
import { balanceStatus, filesIn, tlsChannel } from '../../support/callers.ts';
import { createAuthority } from '../../support/certificates.ts';
import { createSystem, type System } from '../../support/system.ts';
import { AUDIENCE, ISSUER, signingKey } from '../../support/tokens.ts';

const authority = createAuthority();
const EVERYWHERE = { GRPC_HOST: '0.0.0.0' };

let system: System;
let tls: Record<string, string>;
let tokens: Record<string, string>;

beforeAll(async () => {
  system = await createSystem();
  const server = authority.issue({ ipAddresses: ['127.0.0.1'] });
  const key = await signingKey('key-1');
  const path = filesIn({ cert: server.cert, key: server.key, jwks: JSON.stringify({ keys: [key.jwk] }) });
  tls = { TLS_CERT_FILE: path('cert'), TLS_KEY_FILE: path('key') };
  tokens = { AUTH_JWKS_FILE: path('jwks'), AUTH_ISSUER: ISSUER, AUTH_AUDIENCE: AUDIENCE };
});

afterAll(() => system.close());

test('beyond loopback is rejected unless calls are both encrypted and authenticated, and what is missing is named', async () => {
  await expect(system.startApi(EVERYWHERE)).rejects.toThrow(
    /GRPC_HOST: 0\.0\.0\.0 .*not encrypted \(set TLS_CERT_FILE.* and not authenticated \(set AUTH_JWKS_URL.*ALLOW_INSECURE_LISTEN=1/,
  );
});

test('beyond loopback is possible with both', async () => {
  const api = await system.startApi({ ...EVERYWHERE, ...tls, ...tokens });
  const address = api.address.replace('0.0.0.0', '127.0.0.1');
  expect(await balanceStatus(address, tlsChannel(authority.cert))).toBe('UNAUTHENTICATED');
});

test('beyond loopback is possible without, if a variable says so, and is warned of', async () => {
  const api = await system.startApi({ ...EVERYWHERE, ALLOW_INSECURE_LISTEN: '1' });
  expect(await balanceStatus(api.address.replace('0.0.0.0', '127.0.0.1'))).toBe('NOT_FOUND');
  expect(api.log.some((line) => line.includes('"level":"warn"') && line.includes('reachable from elsewhere'))).toBe(
    true,
  );
});
