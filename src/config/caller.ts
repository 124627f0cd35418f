import { z } from 'zod';
import { loadVariables } from './environment.ts';
import { certificates, checkKeyPair, count, flag, isLoopback, privateKey, secret } from './values.ts';

const callerVariables = z.object({
  LEDGER_ADDRESS: z
    .string()
    .regex(/^[^\s,@/]+:\d{1,5}$/, 'must be host:port')
    .default('127.0.0.1:50051'),
  /** 1 encrypts, and verifies the API's certificate and name; so does LEDGER_CA or LEDGER_CERT by itself. */
  LEDGER_TLS: flag,
  /** PEM: the authorities to trust instead of those that come with Node. */
  LEDGER_CA: certificates.optional(),
  /** PEM: the client certificate and its key, for an API that asks for them. */
  LEDGER_CERT: certificates.optional(),
  LEDGER_KEY: privateKey.optional(),
  /** A bearer token. */
  LEDGER_TOKEN: secret
    // A file may end with more than the newline that is taken off.
    .transform((text) => text.trim())
    .refine((token) => /^[\x21-\x7e]+$/.test(token), 'must be a token: one word')
    .optional(),
  /** How long a call may take. */
  LEDGER_DEADLINE_MS: count(10_000, 600_000),
});

type Variables = z.output<typeof callerVariables>;

export type CallerConfig = ReturnType<typeof loadCallerConfig>;

/** How the API is reached, for those who call it. Throws a ConfigError that names every bad variable. */
export function loadCallerConfig(env: NodeJS.ProcessEnv) {
  const variables = loadVariables(callerVariables.superRefine(checkCaller), env);
  return Object.freeze({
    address: variables.LEDGER_ADDRESS,
    /** Undefined is in clear. In PEM. */
    tls: isEncrypted(variables)
      ? { ca: variables.LEDGER_CA, cert: variables.LEDGER_CERT, key: variables.LEDGER_KEY }
      : undefined,
    token: variables.LEDGER_TOKEN,
    deadlineMs: variables.LEDGER_DEADLINE_MS,
  });
}

function checkCaller(variables: Variables, context: z.RefinementCtx): void {
  checkKeyPair(variables, 'LEDGER_CERT', 'LEDGER_KEY', context);
  const host = variables.LEDGER_ADDRESS.slice(0, variables.LEDGER_ADDRESS.lastIndexOf(':'));
  if (variables.LEDGER_TOKEN !== undefined && !isEncrypted(variables) && !isLoopback(host)) {
    const message =
      'would cross the network in clear: set LEDGER_TLS=1, or LEDGER_CA_FILE for an authority of your own';
    context.addIssue({ code: 'custom', path: ['LEDGER_TOKEN'], message });
  }
}

function isEncrypted({ LEDGER_TLS, LEDGER_CA, LEDGER_CERT }: Variables): boolean {
  return LEDGER_TLS === '1' || LEDGER_CA !== undefined || LEDGER_CERT !== undefined;
}
