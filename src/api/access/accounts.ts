import { ServiceError } from '../../app/errors.ts';
import type { Caller } from './caller.ts';

/** The accounts that a caller may act for. */
export interface AllowedAccounts {
  includes(accountId: string): boolean;
}

export const EVERY_ACCOUNT: AllowedAccounts = { includes: () => true };

/** Those with the ids, or with an id that begins as one that ends in * does before it: shop-*. */
export function onlyAccounts(patterns: readonly string[]): AllowedAccounts {
  if (patterns.includes('*')) return EVERY_ACCOUNT;
  const isPrefix = (pattern: string) => pattern.endsWith('*');
  const ids = new Set(patterns.filter((pattern) => !isPrefix(pattern)));
  const prefixes = patterns.filter(isPrefix).map((pattern) => pattern.slice(0, -1));
  return {
    includes: (accountId) => ids.has(accountId) || prefixes.some((prefix) => accountId.startsWith(prefix)),
  };
}

/** Throws PERMISSION_DENIED unless the caller may act for the account, which may exist or not. */
export function requireAccount(caller: Caller, accountId: string): void {
  if (caller.accounts.includes(accountId)) return;
  throw accountNotAllowed(accountId);
}

/** Throws PERMISSION_DENIED for a caller who is bound to accounts: a list of all would tell of others'. */
export function requireEveryAccount({ accounts }: Caller): void {
  if (accounts === EVERY_ACCOUNT) return;
  throw new ServiceError(
    { kind: 'PERMISSION_DENIED', reason: 'ACCOUNT_NOT_ALLOWED', metadata: {} },
    'The caller is bound to accounts, and this would list those of others too.',
  );
}

export function accountNotAllowed(accountId: string): ServiceError {
  return new ServiceError(
    { kind: 'PERMISSION_DENIED', reason: 'ACCOUNT_NOT_ALLOWED', metadata: { account_id: accountId } },
    `The caller may not act for account ${accountId}.`,
  );
}
