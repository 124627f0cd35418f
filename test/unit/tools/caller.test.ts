import { expect, test } from 'vitest';
import { callerFrom } from '../../../tools/caller.ts';
import { filesIn } from '../../support/callers.ts';
import { createAuthority } from '../../support/certificates.ts';

const authority = createAuthority();
const own = authority.issue({ commonName: 'demo' });
const path = filesIn({ 'ca.crt': authority.cert, 'own.crt': own.cert, 'own.key': own.key, token: 'abc\n' });

test('nothing is asked of a caller where the API asks for nothing', () => {
  expect(callerFrom({})).toMatchObject({ tls: undefined, token: undefined });
});

test.each([
  [{ AUTH_JWKS_FILE: 'keys.json' }, 'LEDGER_TOKEN_FILE'],
  [{ AUTH_JWKS_URL: 'https://issuer.example/keys' }, 'LEDGER_TOKEN_FILE'],
  [{ TLS_CERT_FILE: 'tls.crt' }, 'LEDGER_CA_FILE'],
  [{ TLS_CERT_FILE: 'tls.crt', TLS_CLIENT_CA_FILE: 'ca.crt', LEDGER_CA_FILE: path('ca.crt') }, 'LEDGER_CERT_FILE'],
])('%o without what the API will ask for is refused, naming %s', (env: NodeJS.ProcessEnv, variable) => {
  expect(() => callerFrom(env)).toThrow(variable);
});

test('what the API will ask for is taken from the variables of the command line', () => {
  const api = { AUTH_JWKS_FILE: 'keys.json', TLS_CERT_FILE: 'tls.crt', TLS_CLIENT_CA_FILE: 'ca.crt' };
  const caller = callerFrom({
    ...api,
    LEDGER_TOKEN_FILE: path('token'),
    LEDGER_CA_FILE: path('ca.crt'),
    LEDGER_CERT_FILE: path('own.crt'),
    LEDGER_KEY_FILE: path('own.key'),
  });
  expect(caller).toMatchObject({
    token: 'abc',
    tls: { ca: authority.cert.trim(), cert: own.cert.trim(), key: own.key.trim() },
  });
});
