import { createPrivateKey, X509Certificate } from 'node:crypto';
import { z } from 'zod';

// What is malformed aborts, so that checks of variables together may rely on each.

export const port = z.coerce.number().int().min(0).max(65_535);
export const positive = (max = 1_000_000) => z.coerce.number().int().min(1).max(max);
export const count = (fallback: number, max?: number) => positive(max).default(fallback);
export const flag = z.enum(['0', '1']).default('0');
export const secret = z.string();
export const url = (...schemes: string[]) =>
  z.string().refine((text) => URL.canParse(text) && schemes.includes(new URL(text).protocol), {
    error: `must be a URL that starts with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}`,
    abort: true,
  });

/** At least two hours, or -1. */
export const retentionMs = z.coerce
  .number()
  .int()
  .refine((ms) => ms === -1 || (ms >= 7_200_000 && Number.isSafeInteger(ms)), {
    error: 'must be a number of milliseconds, two hours (7200000) at least, or -1 for ever',
  });

/** As CloudEvents wants a source to be. */
export const uriReference = z
  .string()
  .max(255)
  .refine((text) => /^([\w\-.~:/?#[\]@!$&'()*+,;=]|%[\dA-Fa-f]{2})+$/.test(text) && URL.canParse(text, 'http://base'), {
    error: 'must be a URI or a path, such as https://ledger.example/eu or /payment-ledger',
  });

export const addresses = z
  .string()
  .regex(/^[^\s,:@/]+:\d{1,5}(,[^\s,:@/]+:\d{1,5})*$/, 'must be host:port, comma-separated')
  .transform((text) => text.split(','));

export const certificates = z.string().refine(
  succeeds((text) => new X509Certificate(text)),
  {
    error: 'must be certificates in PEM',
    abort: true,
  },
);
export const privateKey = z.string().refine(succeeds(createPrivateKey), {
  error: 'must be a private key in PEM, without a passphrase',
  abort: true,
});

function succeeds(parse: (text: string) => unknown): (text: string) => boolean {
  return (text) => {
    try {
      parse(text);
      return true;
    } catch {
      return false;
    }
  };
}

/** Reports a password that has no place in the URL. */
export function checkPassword<Names extends string>(
  variables: { readonly [Name in Names]?: unknown },
  urlName: Names,
  passwordName: Names,
  context: z.RefinementCtx,
): void {
  if (variables[passwordName] === undefined) return;
  const { hostname, password } = new URL(variables[urlName] as string);
  const report = (message: string) => context.addIssue({ code: 'custom', path: [passwordName], message });
  if (password !== '') report(`${urlName} has a password already: leave one of them out`);
  else if (hostname === '') report(`${urlName} has no host, and so no place for a password`);
}

/** Reports a client certificate and a key that are not a pair. */
export function checkKeyPair<Names extends string>(
  variables: { readonly [Name in Names]?: unknown },
  certificateName: Names,
  keyName: Names,
  context: z.RefinementCtx,
): void {
  const [certificate, key] = [variables[certificateName], variables[keyName]] as (string | undefined)[];
  const report = (name: string, message: string) => context.addIssue({ code: 'custom', path: [name], message });
  if ((certificate === undefined) !== (key === undefined)) {
    report(certificateName, `and ${keyName} go together`);
  } else if (certificate !== undefined && !new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key!))) {
    report(keyName, `is not the key of ${certificateName}`);
  }
}

/** The URL with the password in its place, which checkPassword has found free. */
export function withPassword(text: string, password: string | undefined): string {
  if (password === undefined) return text;
  const parsed = new URL(text);
  // Encoded here, as the setter leaves percent signs alone.
  parsed.password = encodeURIComponent(password);
  return parsed.href;
}

/** Whether nobody else's machine can reach the host. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
