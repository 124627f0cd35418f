import { isDeepStrictEqual } from 'node:util';
import {
  Account_State,
  type Account as AccountMessage,
  AccountType,
  type CloseAccountRequest,
  type FreezeAccountRequest,
  type OpenAccountRequest,
  type UnfreezeAccountRequest,
} from '../../../src/gen/payment/v1/account.ts';
import { type Account, availableOf, type Books, type CallError, failed, isExternal, noSuch } from './books.ts';

// What calls of the AccountService that change accounts answer, and leave behind.

type Changed = { readonly answer: AccountMessage } | { readonly error: CallError };
type Terms = Pick<Account, 'limitCents' | 'debitsFrozen' | 'creditsFrozen' | 'closed' | 'metadata'>;

/** told is what the service answered: its are the time of the opening and the etag. */
export function openAccount(books: Books, request: OpenAccountRequest, told: AccountMessage | undefined): Changed {
  const { accountId, currency, type, overdraftLimitCents } = request;
  const known = books.accounts.get(accountId);
  if (known === undefined) {
    const account: Account = {
      accountId,
      currency,
      type,
      openedAt: told?.openedAt ?? '',
      openedWithLimitCents: overdraftLimitCents,
      limitCents: overdraftLimitCents,
      debitsFrozen: false,
      creditsFrozen: false,
      closed: false,
      metadata: {},
      etags: [told?.etag ?? ''],
      lastChange: 'OPEN',
      postedCents: 0n,
      pendingCents: 0n,
      incomingCents: 0n,
      entries: [],
    };
    books.accounts.set(accountId, account);
    return { answer: accountMessage(account) };
  }
  const differing = [
    ...(known.currency === currency ? [] : ['currency']),
    ...(known.type === type ? [] : ['type']),
    // An EXTERNAL account has no limit, which is not the same as a limit of 0.
    ...(known.openedWithLimitCents === overdraftLimitCents && known.type === type ? [] : ['overdraft_limit_cents']),
  ];
  if (differing.length > 0) return failed('ALREADY_EXISTS', 'ACCOUNT_EXISTS', differing);
  return { answer: accountMessage(known) };
}

export function updateAccount(
  books: Books,
  request: { accountId: string; etag: string; limitCents?: bigint; metadata?: Record<string, string> },
  told: AccountMessage | undefined,
): Changed {
  const { limitCents, metadata } = request;
  return change(books, request, 'UPDATE', told, (account) => ({
    ...account,
    ...(limitCents === undefined ? {} : { limitCents }),
    ...(metadata === undefined ? {} : { metadata }),
  }));
}

export function freezeAccount(books: Books, request: FreezeAccountRequest, told: AccountMessage | undefined): Changed {
  const { debits, credits } = bothIfNeither(request);
  return change(books, request, 'FREEZE', told, (account) => ({
    ...account,
    debitsFrozen: account.debitsFrozen || debits,
    creditsFrozen: account.creditsFrozen || credits,
  }));
}

export function unfreezeAccount(
  books: Books,
  request: UnfreezeAccountRequest,
  told: AccountMessage | undefined,
): Changed {
  const { debits, credits } = bothIfNeither(request);
  return change(books, request, 'UNFREEZE', told, (account) => ({
    ...account,
    debitsFrozen: account.debitsFrozen && !debits,
    creditsFrozen: account.creditsFrozen && !credits,
  }));
}

export function closeAccount(books: Books, request: CloseAccountRequest, told: AccountMessage | undefined): Changed {
  return change(books, request, 'CLOSE', told, (account) => ({ ...account, closed: true }));
}

export function getAccount(books: Books, accountId: string): Changed {
  const account = books.accounts.get(accountId);
  return account === undefined ? noSuch() : { answer: accountMessage(account) };
}

function change(
  books: Books,
  { accountId, etag }: { readonly accountId: string; readonly etag: string },
  kind: Account['lastChange'],
  told: AccountMessage | undefined,
  termsAfter: (account: Account) => Terms,
): Changed {
  const account = books.accounts.get(accountId);
  if (account === undefined) return noSuch();
  const after = termsAfter(account);
  const unchanged = isDeepStrictEqual(termsOf(after), termsOf(account));
  const [current, before] = account.etags;
  const repeatsTheLast = unchanged && kind === account.lastChange && etag === before;
  if (etag !== '' && etag !== current && !repeatsTheLast) return failed('ABORTED', 'ETAG_MISMATCH');
  if (account.closed && kind !== 'CLOSE') return refused('ACCOUNT_CLOSED');
  if (unchanged) return { answer: accountMessage(account) };

  if (isExternal(account) && after.limitCents !== 0n) return refused('EXTERNAL_HAS_NO_LIMIT');
  if (!isExternal(account) && availableOf(account) < -after.limitCents) return refused('OVERDRAFT_IN_USE');
  const { postedCents, pendingCents, incomingCents } = account;
  const isEmpty = postedCents === 0n && pendingCents === 0n && incomingCents === 0n;
  if (after.closed && !isEmpty) return refused('ACCOUNT_NOT_EMPTY');

  Object.assign(account, termsOf(after));
  account.lastChange = kind;
  const next = told?.etag ?? '';
  if (account.etags.includes(next)) throw new Error(`${kind} of ${accountId} left it with an etag of before: ${next}`);
  account.etags.unshift(next);
  return { answer: accountMessage(account) };
}

function termsOf({ limitCents, debitsFrozen, creditsFrozen, closed, metadata }: Terms) {
  return { limitCents, debitsFrozen, creditsFrozen, closed, metadata };
}

function bothIfNeither({ debits, credits }: { readonly debits: boolean; readonly credits: boolean }) {
  return debits || credits ? { debits, credits } : { debits: true, credits: true };
}

function refused(reason: string): { readonly error: CallError } {
  return failed('FAILED_PRECONDITION', reason);
}

export function accountMessage(account: Account): AccountMessage {
  const { accountId, currency, type, openedAt, debitsFrozen, creditsFrozen, metadata, limitCents, closed } = account;
  const frozen = debitsFrozen || creditsFrozen;
  return {
    accountId,
    currency,
    type,
    overdraftLimitCents: type === AccountType.ACCOUNT_TYPE_EXTERNAL ? 0n : limitCents,
    openedAt,
    state: closed ? Account_State.STATE_CLOSED : frozen ? Account_State.STATE_FROZEN : Account_State.STATE_ACTIVE,
    debitsFrozen,
    creditsFrozen,
    metadata,
    etag: account.etags[0]!,
  };
}
