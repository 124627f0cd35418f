import { expect, test } from 'vitest';
import { loadCallerConfig } from '../../../src/config/caller.ts';
import { filesIn } from '../../support/callers.ts';
import { createAuthority } from '../../support/certificates.ts';

const authority = createAuthority();
const own = authority.issue({ commonName: 'caller' });
const path = filesIn({ 'ca.crt': authority.cert, token: ' abc.def \n\n' });

test('calls go to loopback in clear, without a token, unless told otherwise', () => {
  const defaults = { address: '127.0.0.1:50051', tls: undefined, token: undefined, deadlineMs: 10_000 };
  expect(loadCallerConfig({})).toEqual(defaults);
});

test.each([
  [{ LEDGER_TLS: '1' }, {}],
  [{ LEDGER_CA_FILE: path('ca.crt') }, { ca: authority.cert.trim() }],
  [
    { LEDGER_CERT: own.cert, LEDGER_KEY: own.key },
    { cert: own.cert, key: own.key },
  ],
])('%# encrypts', (variables: NodeJS.ProcessEnv, tls) => {
  expect(loadCallerConfig(variables).tls).toMatchObject(tls);
});

test('a token may come from a file, and goes in clear to loopback only', () => {
  const token = { LEDGER_TOKEN_FILE: path('token') };
  expect(loadCallerConfig(token).token).toBe('abc.def');
  expect(loadCallerConfig({ ...token, LEDGER_ADDRESS: '[::1]:1' }).token).toBe('abc.def');
  expect(() => loadCallerConfig({ ...token, LEDGER_ADDRESS: 'ledger.example:1' })).toThrow(
    /LEDGER_TOKEN_FILE: .*in clear/,
  );
  expect(loadCallerConfig({ ...token, LEDGER_ADDRESS: 'ledger.example:1', LEDGER_TLS: '1' }).token).toBe('abc.def');
});

test.each([
  [{ LEDGER_ADDRESS: 'ledger.example' }, 'LEDGER_ADDRESS: must be host:port'],
  [{ LEDGER_TOKEN: 'pla\nnted' }, 'LEDGER_TOKEN: must be a token'],
  [{ LEDGER_CA: 'planted' }, 'LEDGER_CA: must be certificates in PEM'],
  [{ LEDGER_CERT: own.cert }, 'LEDGER_CERT: and LEDGER_KEY go together'],
  [{ LEDGER_CERT: own.cert, LEDGER_KEY: authority.issue({}).key }, 'LEDGER_KEY: is not the key of LEDGER_CERT'],
  [{ LEDGER_DEADLINE_MS: '0' }, 'LEDGER_DEADLINE_MS: '],
])('%# is refused, named and not shown', (variables: NodeJS.ProcessEnv, message) => {
  expect(() => loadCallerConfig(variables)).toThrow(message);
  expect(() => loadCallerConfig(variables)).not.toThrow('nted');
});
