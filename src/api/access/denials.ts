import { ServiceError } from '../../app/errors.ts';
import type { Caller, Scope } from './caller.ts';

/** Why a caller is not known; the reason of ErrorInfo and the label of the metric. */
export const AUTHENTICATION_FAILURES = [
  'TOKEN_MISSING',
  'TOKEN_MALFORMED',
  'TOKEN_ALGORITHM_NOT_ALLOWED',
  'TOKEN_KEY_UNKNOWN',
  'TOKEN_SIGNATURE_INVALID',
  'TOKEN_EXPIRED',
  'TOKEN_NOT_YET_VALID',
  'TOKEN_WRONG_ISSUER',
  'TOKEN_WRONG_AUDIENCE',
  'CERTIFICATE_MISSING',
  'CERTIFICATE_EXPIRED',
] as const;

export type AuthenticationFailure = (typeof AUTHENTICATION_FAILURES)[number];

/** UNAUTHENTICATED. */
export function unauthenticated(reason: AuthenticationFailure, message: string, cause?: unknown): ServiceError {
  return new ServiceError({ kind: 'UNAUTHENTICATED', reason }, message, { cause });
}

/** PERMISSION_DENIED to a caller who is proven to be somebody nobody gave any right. */
export function unknownCaller(name: string): ServiceError {
  return new ServiceError(
    { kind: 'PERMISSION_DENIED', reason: 'CALLER_UNKNOWN', metadata: { caller: name } },
    `The caller ${name} has no rights here.`,
  );
}

/** Throws PERMISSION_DENIED unless the caller has the scope. */
export function requireScope(caller: Caller, scope: Scope): void {
  if (caller.scopes.has(scope)) return;
  throw new ServiceError(
    { kind: 'PERMISSION_DENIED', reason: 'SCOPE_MISSING', metadata: { scope } },
    `The call needs the scope ${scope}.`,
  );
}
