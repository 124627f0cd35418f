import { type CallerConfig, loadCallerConfig } from '../src/config/caller.ts';

export type Caller = Pick<CallerConfig, 'tls' | 'token'>;

/**
 * How the client of npm start and npm run demo calls the API that the same variables
 * set up: by the LEDGER_* variables. Throws if the API would ask for what they lack.
 */
export function callerFrom(env: NodeJS.ProcessEnv): Caller {
  const { LEDGER_ADDRESS: _, LEDGER_ADDRESS_FILE: __, ...others } = env;
  const caller = loadCallerConfig(others);
  const isSet = (name: string) => Boolean(env[name]);
  const lacking = [
    ['AUTH_JWKS_URL', 'AUTH_JWKS_URL_FILE', 'AUTH_JWKS_FILE'].some(isSet) &&
      caller.token === undefined &&
      'LEDGER_TOKEN or LEDGER_TOKEN_FILE: a token with the scopes payments.authorize, payments.read and accounts.admin, as AUTH_JWKS_* is set',
    isSet('TLS_CERT_FILE') &&
      caller.tls === undefined &&
      'LEDGER_CA_FILE: the authority of the certificate, which must be for 127.0.0.1, as TLS_CERT_FILE is set',
    isSet('TLS_CLIENT_CA_FILE') &&
      env['TLS_CLIENT_CERT'] !== 'request' &&
      caller.tls?.cert === undefined &&
      'LEDGER_CERT_FILE and LEDGER_KEY_FILE: a client certificate and its key, as TLS_CLIENT_CA_FILE is set',
  ].filter((line) => typeof line === 'string');
  if (lacking.length > 0) {
    throw new Error(`The API will ask its callers for more than is set here. Set too:\n  ${lacking.join('\n  ')}`);
  }
  return caller;
}
