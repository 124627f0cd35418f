import { z } from 'zod';

const file = z.string().min(1).optional();

/** The API's settings of who may call, and over what wire. */
export const accessVariables = {
  /** PEM: the server's certificate with those between it and its authority, and its key. Set, calls are encrypted. */
  TLS_CERT_FILE: file,
  TLS_KEY_FILE: file,
  /** PEM: the authorities of client certificates. Set, clients are asked for theirs. */
  TLS_CLIENT_CA_FILE: file,
  /** request lets connections without a trusted client certificate through. */
  TLS_CLIENT_CERT: z.enum(['require', 'request']).default('require'),
  /** How often the files named here are read again. */
  FILE_RELOAD_MS: z.coerce.number().int().min(100).max(3_600_000).default(5_000),
};

const settings = z.object(accessVariables);
type AccessVariables = z.infer<typeof settings>;

/** What the variables must say together. */
export const checkAccess = z.superRefine<AccessVariables>(
  (config, context) => {
    const problem = (variable: keyof AccessVariables, message: string) =>
      context.addIssue({ code: 'custom', path: [variable], message });
    const { TLS_CERT_FILE, TLS_KEY_FILE, TLS_CLIENT_CA_FILE } = config;
    if (TLS_CERT_FILE && !TLS_KEY_FILE) problem('TLS_KEY_FILE', 'must be set as well if TLS_CERT_FILE is');
    if (TLS_KEY_FILE && !TLS_CERT_FILE) problem('TLS_CERT_FILE', 'must be set as well if TLS_KEY_FILE is');
    if (TLS_CLIENT_CA_FILE && !TLS_CERT_FILE) {
      problem('TLS_CERT_FILE', 'must be set as well if TLS_CLIENT_CA_FILE is');
    }
  },
  // Even if single variables are wrong, so that everything is named at once.
  { when: () => true },
);

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
