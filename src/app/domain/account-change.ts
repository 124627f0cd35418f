import type { Account, AccountTerms, Balance } from './account.ts';
import { isSameMetadata, type Metadata } from './payment.ts';

export type AccountChangeKind = 'OPENED' | 'UPDATED' | 'FROZEN' | 'UNFROZEN' | 'CLOSED';

/** A change of an account as it is stored: made once, never altered. */
export interface AccountChange {
  /** A ULID. */
  readonly changeId: string;
  readonly kind: AccountChangeKind;
  /** As it is after the change. */
  readonly account: Account;
  readonly reason: string;
  /** Who asked for it; empty while calls are not authenticated. */
  readonly caller: string;
}

/** What a caller asks for, and what the change will be called. */
export type AccountRequest = { readonly etag: string } & (
  | {
      readonly kind: 'UPDATED';
      /** Undefined is to be left as it is; so is metadata. */
      readonly overdraftLimitCents: bigint | undefined;
      /** Empty is none. */
      readonly metadata: Metadata | undefined;
    }
  | { readonly kind: 'FROZEN' | 'UNFROZEN'; readonly debits: boolean; readonly credits: boolean }
  | { readonly kind: 'CLOSED' }
);

/** Why an account is not changed: the reasons of ErrorInfo. */
export type RefusalReason =
  | 'ETAG_MISMATCH'
  | 'ACCOUNT_CLOSED'
  | 'ACCOUNT_NOT_EMPTY'
  | 'OVERDRAFT_IN_USE'
  | 'EXTERNAL_HAS_NO_LIMIT';

export type AccountDecision =
  | { readonly kind: 'CHANGE'; readonly terms: AccountTerms }
  /** It is already as asked for. */
  | { readonly kind: 'UNCHANGED' }
  | { readonly kind: 'REFUSED'; readonly reason: RefusalReason; readonly message: string };

/** Opaque to callers. */
export function etagOf({ revision }: Pick<Account, 'revision'>): string {
  return revision.toString();
}

/**
 * Decides what becomes of the account, whose balance is locked. last is the change that
 * made it what it is, or undefined if nothing is known of it. Pure.
 */
export function decideChange(
  account: Account,
  balance: Balance,
  last: Pick<AccountChange, 'kind' | 'caller'> | undefined,
  request: AccountRequest,
  caller: string,
): AccountDecision {
  const { accountId } = account;
  const terms = termsAfter(account, request);
  const unchanged = isSame(account, terms);
  if (request.etag !== '' && request.etag !== etagOf(account)) {
    // The answer to the last change may have been lost, and its caller has the etag from before it.
    const repeats = unchanged && last?.kind === request.kind && last.caller === caller;
    if (repeats && request.etag === etagOf({ revision: account.revision - 1n })) return { kind: 'UNCHANGED' };
    return refused('ETAG_MISMATCH', `Account ${accountId} has changed since its etag was ${request.etag}.`);
  }
  if (account.closed) {
    return request.kind === 'CLOSED'
      ? { kind: 'UNCHANGED' }
      : refused('ACCOUNT_CLOSED', `Account ${accountId} is closed, for good.`);
  }
  if (unchanged) return { kind: 'UNCHANGED' };
  if (account.overdraftLimitCents === null && terms.overdraftLimitCents !== null) {
    return refused('EXTERNAL_HAS_NO_LIMIT', `Account ${accountId} is EXTERNAL and has no overdraft limit.`);
  }
  if (terms.overdraftLimitCents !== null && balance.availableCents < -terms.overdraftLimitCents) {
    return refused('OVERDRAFT_IN_USE', `Account ${accountId} is further below zero than the limit would allow.`);
  }
  const holds = [balance.availableCents, balance.pendingCents, balance.incomingCents];
  if (terms.closed && holds.some((cents) => cents !== 0n)) {
    return refused('ACCOUNT_NOT_EMPTY', `Account ${accountId} holds or owes money.`);
  }
  return { kind: 'CHANGE', terms };
}

function termsAfter(account: Account, request: AccountRequest): AccountTerms {
  const { overdraftLimitCents, debitsFrozen, creditsFrozen, closed, metadata } = account;
  const terms = { overdraftLimitCents, debitsFrozen, creditsFrozen, closed, metadata };
  switch (request.kind) {
    case 'UPDATED':
      return {
        ...terms,
        overdraftLimitCents: limitAfter(overdraftLimitCents, request.overdraftLimitCents),
        metadata: request.metadata === undefined ? metadata : orNone(request.metadata),
      };
    case 'FROZEN':
      return {
        ...terms,
        debitsFrozen: debitsFrozen || request.debits,
        creditsFrozen: creditsFrozen || request.credits,
      };
    case 'UNFROZEN':
      return {
        ...terms,
        debitsFrozen: debitsFrozen && !request.debits,
        creditsFrozen: creditsFrozen && !request.credits,
      };
    case 'CLOSED':
      return { ...terms, closed: true };
  }
}

/** Callers read the limit of an EXTERNAL account as 0, and may send back what they read. */
function limitAfter(limitCents: bigint | null, requestedCents: bigint | undefined): bigint | null {
  if (requestedCents === undefined) return limitCents;
  return limitCents === null && requestedCents === 0n ? null : requestedCents;
}

function orNone(metadata: Metadata): Metadata | undefined {
  return Object.keys(metadata).length === 0 ? undefined : metadata;
}

function isSame(account: AccountTerms, terms: AccountTerms): boolean {
  return (
    account.overdraftLimitCents === terms.overdraftLimitCents &&
    account.debitsFrozen === terms.debitsFrozen &&
    account.creditsFrozen === terms.creditsFrozen &&
    account.closed === terms.closed &&
    isSameMetadata(account.metadata, terms.metadata)
  );
}

function refused(reason: RefusalReason, message: string): AccountDecision {
  return { kind: 'REFUSED', reason, message };
}
