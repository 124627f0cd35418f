import { z } from 'zod';
import { flag, isLoopback, positive } from './values.ts';

const file = z.string().min(1).optional();
const tokens = positive().optional();
const list = z.string().transform((text) => text.split(',').map((word) => word.trim()));

/** Signatures that only the issuer can make: with a shared secret, whoever checks tokens could issue them. */
const ALGORITHMS = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519'.split(' ');

/** The API's settings of who may call, and over what wire. */
export const accessVariables = {
  GRPC_HOST: z.string().min(1).default('127.0.0.1'),
  /** 1 listens beyond loopback though anyone who reaches the port could move money. */
  ALLOW_INSECURE_LISTEN: flag,
  /** PEM: the server's certificate with those between it and its authority, and its key. Set, calls are encrypted. */
  TLS_CERT_FILE: file,
  TLS_KEY_FILE: file,
  /** PEM: the authorities of client certificates. Set, clients are asked for theirs. */
  TLS_CLIENT_CA_FILE: file,
  /** request lets connections without a trusted client certificate through. */
  TLS_CLIENT_CERT: z.enum(['require', 'request']).default('require'),
  /** Where the public keys of the tokens' issuer are. One of the two set, every call needs a bearer JWT. */
  AUTH_JWKS_URL: z
    .string()
    .refine(isSafeUrl, { error: 'must be an https URL, or http on loopback, without a password' })
    .optional(),
  AUTH_JWKS_FILE: file,
  AUTH_ISSUER: z.string().min(1).optional(),
  /** Comma-separated; a token must name one of them. */
  AUTH_AUDIENCE: list.optional(),
  AUTH_ALGORITHMS: list
    .refine((words) => words.every((word) => ALGORITHMS.includes(word)), {
      error: `must be some of ${ALGORITHMS.join(', ')}, comma-separated`,
    })
    .default(['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519']),
  /** How far the issuer's clock and ours may be apart. */
  AUTH_CLOCK_TOLERANCE_SECONDS: z.coerce.number().int().min(0).max(300).default(30),
  /** The claim of a token that lists the accounts its caller may act for: ids, or beginnings of ids with * behind. */
  AUTH_ACCOUNTS_CLAIM: z.string().min(1).optional(),
  /** JSON: what the callers may do that show client certificates. */
  AUTH_CALLERS_FILE: file,
  /** Tokens in a full bucket of a caller, and how many flow back each second: for its calls of any kind. Not set is no limit. */
  RATE_LIMIT_CALLER_CAPACITY: tokens,
  RATE_LIMIT_CALLER_REFILL_PER_SECOND: tokens,
  /** How often the files named here are read again. */
  FILE_RELOAD_MS: z.coerce.number().int().min(100).max(3_600_000).default(5_000),
};

const settings = z.object(accessVariables);
type AccessVariables = z.infer<typeof settings>;

/** What the variables must say together. */
export const checkAccess = z.superRefine<AccessVariables>(
  (config, context) => {
    for (const [variable, message] of contradictions(config)) {
      context.addIssue({ code: 'custom', path: [variable], message });
    }
  },
  // Even if single variables are wrong, so that everything is named at once.
  { when: () => true },
);

function* contradictions(config: AccessVariables): Generator<[keyof AccessVariables, string]> {
  const byToken = config.AUTH_JWKS_URL !== undefined || config.AUTH_JWKS_FILE !== undefined;
  const needs = function* (
    variable: keyof AccessVariables,
    other: keyof AccessVariables,
  ): Generator<[typeof variable, string]> {
    if (config[other] !== undefined && config[variable] === undefined) yield [variable, `must be set if ${other} is`];
  };
  yield* needs('TLS_KEY_FILE', 'TLS_CERT_FILE');
  yield* needs('TLS_CERT_FILE', 'TLS_KEY_FILE');
  yield* needs('TLS_CERT_FILE', 'TLS_CLIENT_CA_FILE');
  yield* needs('TLS_CLIENT_CA_FILE', 'AUTH_CALLERS_FILE');
  if (config.AUTH_JWKS_URL !== undefined && config.AUTH_JWKS_FILE !== undefined) {
    yield ['AUTH_JWKS_FILE', 'cannot be set as well as AUTH_JWKS_URL'];
  }
  for (const variable of ['AUTH_ISSUER', 'AUTH_AUDIENCE'] as const) {
    if (byToken && config[variable] === undefined)
      yield [variable, 'must be set if AUTH_JWKS_URL or AUTH_JWKS_FILE is'];
  }
  for (const variable of ['AUTH_ISSUER', 'AUTH_AUDIENCE', 'AUTH_ACCOUNTS_CLAIM'] as const) {
    if (!byToken && config[variable] !== undefined) {
      yield ['AUTH_JWKS_URL', `or AUTH_JWKS_FILE must be set if ${variable} is`];
    }
  }
  if (byToken && config.AUTH_CALLERS_FILE !== undefined) {
    yield [
      'AUTH_CALLERS_FILE',
      'cannot be set as well as AUTH_JWKS_URL or AUTH_JWKS_FILE: callers are known by their tokens then',
    ];
  }
  yield* needs('RATE_LIMIT_CALLER_CAPACITY', 'RATE_LIMIT_CALLER_REFILL_PER_SECOND');
  yield* needs('RATE_LIMIT_CALLER_REFILL_PER_SECOND', 'RATE_LIMIT_CALLER_CAPACITY');
  if (config.RATE_LIMIT_CALLER_CAPACITY !== undefined && !isAuthenticated(config)) {
    yield ['RATE_LIMIT_CALLER_CAPACITY', 'cannot be set where callers are not known: all would share one bucket'];
  }
  const unprotected = listensUnprotected(config);
  if (unprotected !== undefined && config.ALLOW_INSECURE_LISTEN !== '1') {
    yield ['GRPC_HOST', `${unprotected}; or ALLOW_INSECURE_LISTEN=1 behind what does both`];
  }
  if (!byToken && config.TLS_CLIENT_CA_FILE !== undefined && config.AUTH_CALLERS_FILE === undefined) {
    yield ['AUTH_CALLERS_FILE', 'must be set if TLS_CLIENT_CA_FILE is, unless callers show tokens (AUTH_JWKS_URL)'];
  }
}

/** What is missing for a port that others can reach; undefined if it is safe. */
export function listensUnprotected(config: AccessVariables): string | undefined {
  const { GRPC_HOST: host } = config;
  if (host === undefined || isLoopback(host)) return undefined;
  const missing = [
    config.TLS_CERT_FILE === undefined && 'encrypted (set TLS_CERT_FILE and TLS_KEY_FILE)',
    !isAuthenticated(config) && 'authenticated (set AUTH_JWKS_URL, AUTH_JWKS_FILE or AUTH_CALLERS_FILE)',
  ].filter((word) => word !== false);
  return missing.length === 0
    ? undefined
    : `${host} is reachable from elsewhere, and calls are not ${missing.join(' and not ')}`;
}

function isAuthenticated({ AUTH_JWKS_URL, AUTH_JWKS_FILE, AUTH_CALLERS_FILE }: AccessVariables): boolean {
  return [AUTH_JWKS_URL, AUTH_JWKS_FILE, AUTH_CALLERS_FILE].some((variable) => variable !== undefined);
}

/** Whoever can change the keys on their way can issue tokens. */
function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  // A password would be in the log, and fetch rejects it.
  if (username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}

/** Undefined if the port is in clear. */
export function tlsSettings({ TLS_CERT_FILE, TLS_KEY_FILE, TLS_CLIENT_CA_FILE, TLS_CLIENT_CERT }: AccessVariables) {
  if (TLS_CERT_FILE === undefined || TLS_KEY_FILE === undefined) return undefined;
  return {
    certificateFile: TLS_CERT_FILE,
    keyFile: TLS_KEY_FILE,
    clientCaFile: TLS_CLIENT_CA_FILE,
    requireClientCertificate: TLS_CLIENT_CERT === 'require',
  };
}

/** The bucket of a caller; undefined is no limit. */
export function callerLimit(config: AccessVariables) {
  const { RATE_LIMIT_CALLER_CAPACITY: capacity, RATE_LIMIT_CALLER_REFILL_PER_SECOND: refillPerSecond } = config;
  if (capacity === undefined || refillPerSecond === undefined) return undefined;
  return { capacity, refillPerSecond };
}

/** How callers are known. */
export function accessSettings(config: AccessVariables) {
  const { AUTH_JWKS_URL: url, AUTH_JWKS_FILE: file, AUTH_CALLERS_FILE: callersFile } = config;
  const keys = url !== undefined ? { url } : file !== undefined ? { file } : undefined;
  if (keys !== undefined) {
    // Both are there: see contradictions().
    const jwt = {
      issuer: config.AUTH_ISSUER!,
      audiences: config.AUTH_AUDIENCE!,
      algorithms: config.AUTH_ALGORITHMS,
      clockToleranceSeconds: config.AUTH_CLOCK_TOLERANCE_SECONDS,
      accountsClaim: config.AUTH_ACCOUNTS_CLAIM,
    };
    return { by: 'TOKEN', keys, jwt } as const;
  }
  return callersFile === undefined ? ({ by: 'NOTHING' } as const) : ({ by: 'CERTIFICATE', callersFile } as const);
}
