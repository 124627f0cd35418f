import { describe, expect, test } from 'vitest';
import { loadApiConfig } from '../../../src/config.ts';

const SERVERS = { DATABASE_URL: 'postgres://ledger@127.0.0.1/ledger', REDIS_URL: 'redis://127.0.0.1' };
const TLS = { TLS_CERT_FILE: 'tls.crt', TLS_KEY_FILE: 'tls.key' };
const TOKENS = { AUTH_JWKS_URL: 'https://issuer.example/jwks', AUTH_ISSUER: 'issuer', AUTH_AUDIENCE: 'ledger' };
const CERTIFICATES = { TLS_CLIENT_CA_FILE: 'ca.crt', AUTH_CALLERS_FILE: 'callers.json' };

/** The names of the variables that are wrong; none if the settings are good. */
function wrong(env: Record<string, string>): string[] {
  try {
    loadApiConfig({ ...SERVERS, ...env });
    return [];
  } catch (error) {
    return [...(error as Error).message.matchAll(/^ {2}([A-Z_]+)/gm)].map(([, name]) => name!);
  }
}

describe('the address to listen on', () => {
  test.each(['127.0.0.1', '127.1.2.3', '::1', 'localhost'])('%s needs nothing', (GRPC_HOST) => {
    expect(wrong({ GRPC_HOST })).toEqual([]);
  });

  test.each(['0.0.0.0', '::', '10.1.2.3', 'ledger.example', '127.0.0.1.example', '128.0.0.1'])(
    '%s needs TLS and callers that are known, or a variable that says otherwise',
    (GRPC_HOST) => {
      const both = { ...TLS, ...TOKENS };
      expect(wrong({ GRPC_HOST })).toEqual(['GRPC_HOST']);
      expect(wrong({ GRPC_HOST, ...TLS })).toEqual(['GRPC_HOST']);
      expect(wrong({ GRPC_HOST, ...TOKENS })).toEqual(['GRPC_HOST']);
      expect(wrong({ GRPC_HOST, ...both })).toEqual([]);
      expect(wrong({ GRPC_HOST, ...TLS, ...CERTIFICATES })).toEqual([]);
      expect(wrong({ GRPC_HOST, ALLOW_INSECURE_LISTEN: '1' })).toEqual([]);
    },
  );
});

describe('variables that belong together', () => {
  test.each([
    [{ TLS_CERT_FILE: 'tls.crt' }, ['TLS_KEY_FILE']],
    [{ TLS_KEY_FILE: 'tls.key' }, ['TLS_CERT_FILE']],
    [CERTIFICATES, ['TLS_CERT_FILE']],
    [{ ...TLS, TLS_CLIENT_CA_FILE: 'ca.crt' }, ['AUTH_CALLERS_FILE']],
    [{ ...TLS, AUTH_CALLERS_FILE: 'callers.json' }, ['TLS_CLIENT_CA_FILE']],
    [{ ...TOKENS, AUTH_ISSUER: '' }, ['AUTH_ISSUER']],
    [{ ...TOKENS, AUTH_AUDIENCE: '' }, ['AUTH_AUDIENCE']],
    [{ ...TOKENS, AUTH_JWKS_URL: '' }, ['AUTH_JWKS_URL', 'AUTH_JWKS_URL']],
    [{ ...TOKENS, AUTH_JWKS_FILE: 'jwks.json' }, ['AUTH_JWKS_FILE']],
    [{ ...TLS, ...TOKENS, ...CERTIFICATES }, ['AUTH_CALLERS_FILE']],
    [{ ...TOKENS, RATE_LIMIT_CALLER_CAPACITY: '5' }, ['RATE_LIMIT_CALLER_REFILL_PER_SECOND']],
    [{ ...TOKENS, RATE_LIMIT_CALLER_REFILL_PER_SECOND: '5' }, ['RATE_LIMIT_CALLER_CAPACITY']],
    [{ RATE_LIMIT_CALLER_CAPACITY: '5', RATE_LIMIT_CALLER_REFILL_PER_SECOND: '5' }, ['RATE_LIMIT_CALLER_CAPACITY']],
    [{ ...TLS, ...TOKENS, TLS_CLIENT_CA_FILE: 'ca.crt' }, []],
  ])('%j: %j is named', (env, names) => {
    expect(wrong(env)).toEqual(names);
  });

  test('what is missing is named beside single variables that are wrong', () => {
    expect(wrong({ ...TOKENS, AUTH_ISSUER: '', GRPC_PORT: 'x' }).toSorted()).toEqual(['AUTH_ISSUER', 'GRPC_PORT']);
  });
});

describe('the keys of the issuer', () => {
  test.each([
    'http://issuer.example/jwks',
    'ftp://127.0.0.1/jwks',
    'https://user:secret@issuer.example/jwks',
    'issuer.example',
  ])('do not come from %s', (url) => {
    expect(wrong({ ...TOKENS, AUTH_JWKS_URL: url })).toEqual(['AUTH_JWKS_URL']);
  });

  test.each(['HS256', 'none', 'RS256,HS512', ''.padEnd(1)])('are not for the algorithm %j', (AUTH_ALGORITHMS) => {
    expect(wrong({ ...TOKENS, AUTH_ALGORITHMS })).toEqual(['AUTH_ALGORITHMS']);
  });
});
