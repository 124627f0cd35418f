import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { checkPassword, secret, url, withPassword } from './values.ts';

/** Files that the URL may name, as for libpq: the authorities to trust, and the client's certificate and its key. */
const FILES = ['sslrootcert', 'sslcert', 'sslkey'];

export const databaseVariables = {
  DATABASE_URL: url('postgres:', 'postgresql:').superRefine((text, context) => {
    const problem = tlsProblem(text);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  }),
  /** For a password that is mounted apart from the URL. */
  DATABASE_PASSWORD: secret.optional(),
};

type Variables = z.output<z.ZodObject<typeof databaseVariables>>;

export function checkDatabase(variables: Variables, context: z.RefinementCtx): void {
  checkPassword(variables, 'DATABASE_URL', 'DATABASE_PASSWORD', context);
}

export function databaseUrl({ DATABASE_URL, DATABASE_PASSWORD }: Variables): string {
  return withPassword(DATABASE_URL, DATABASE_PASSWORD);
}

/**
 * A connection is either plain or verified in full. What lies between has other meanings
 * for pg than for libpq (pg 8 verifies the server in full for prefer and require, a later
 * one will not), so it is not taken at all.
 */
function tlsProblem(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { searchParams } = new URL(text);
  const mode = searchParams.get('sslmode');
  if (searchParams.has('ssl')) return 'ssl is not a parameter here: say sslmode=verify-full';
  if (mode !== null && mode !== 'disable' && mode !== 'verify-full') return 'sslmode must be disable or verify-full';
  const named = FILES.filter((name) => searchParams.has(name));
  if (named.length > 0 && mode !== 'verify-full') return `${named.join(' and ')}: only with sslmode=verify-full`;
  if (searchParams.has('sslcert') !== searchParams.has('sslkey')) return 'sslcert and sslkey go together';
  for (const name of named) {
    try {
      const content = readFileSync(searchParams.get(name)!);
      if (name !== 'sslkey') new X509Certificate(content);
    } catch (error) {
      return `${name} names a file that cannot be used: ${(error as NodeJS.ErrnoException).code}`;
    }
  }
  return undefined;
}
