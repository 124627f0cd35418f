import { type AllowedAccounts, EVERY_ACCOUNT } from './accounts.ts';

/** What a caller may be allowed to do. */
export const SCOPES = ['payments.authorize', 'payments.read', 'accounts.admin'] as const;

export type Scope = (typeof SCOPES)[number];

/** Who calls, as far as it was proven, and what it may do. */
export interface Caller {
  /** Idempotency keys belong to it; the empty name is everybody's where calls are not authenticated. */
  readonly name: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Those that it may pay from, read and open. */
  readonly accounts: AllowedAccounts;
}

/** The caller of every call where calls are not authenticated. */
export const ANYONE: Caller = { name: '', scopes: new Set(SCOPES), accounts: EVERY_ACCOUNT };

/** Those of the words that are scopes; a token may carry others, for other services. */
export function scopesAmong(words: readonly string[]): ReadonlySet<Scope> {
  return new Set(SCOPES.filter((scope) => words.includes(scope)));
}

/** Whether a name can be stored with the caller's idempotency keys. */
export function isCallerName(name: unknown): name is string {
  return (
    typeof name === 'string' && name.length > 0 && name.length <= 255 && name.isWellFormed() && !name.includes('\0')
  );
}
