import {
  Account,
  AccountEntryOrder,
  AccountType,
  type CloseAccountRequest,
  type FreezeAccountRequest,
  GetBalanceSnapshotRequest,
  ListAccountEntriesRequest,
  ListAccountsRequest,
  OpenAccountRequest,
  type UpdateAccountRequest,
} from '../../../src/gen/payment/v1/account.ts';

export interface NewAccount {
  readonly accountId: string;
  readonly currency: string;
  /** CUSTOMER unless told otherwise. */
  readonly type?: 'CUSTOMER' | 'EXTERNAL';
  /** Of a CUSTOMER account; 0n unless told otherwise. */
  readonly overdraftLimitCents?: bigint;
}

/** What goes with each change of an account. */
export interface AccountChange {
  /** For the account's history and the event. */
  readonly reason?: string;
  /** The etag that the account must have, or EtagMismatchError. Give it where others change the account too. */
  readonly etag?: string;
}

/** What to change: at least one of the two. */
export interface AccountUpdate extends AccountChange {
  readonly overdraftLimitCents?: bigint;
  /** Instead of all that there is. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface FreezeChange extends AccountChange {
  /** That the account cannot pay (DEBITS), or cannot be paid (CREDITS); both unless told otherwise. */
  readonly only?: 'DEBITS' | 'CREDITS';
}

export interface AccountFilter {
  readonly currency?: string;
  readonly type?: 'CUSTOMER' | 'EXTERNAL';
}

export interface EntryFilter {
  /** The newest first unless it is true. */
  readonly oldestFirst?: boolean;
  readonly createdFrom?: string;
  readonly createdBefore?: string;
  readonly versionFrom?: bigint;
  readonly versionBefore?: bigint;
}

/** A time, RFC 3339, or the version of an entry; 0n is before the first. */
export type SnapshotPoint = { readonly at: string } | { readonly version: bigint };

export function openRequest(account: NewAccount): OpenAccountRequest {
  return OpenAccountRequest.fromPartial({
    ...account,
    type: AccountType[`ACCOUNT_TYPE_${account.type ?? 'CUSTOMER'}`],
  });
}

export function updateRequest(accountId: string, update: AccountUpdate): UpdateAccountRequest {
  const { overdraftLimitCents, metadata, reason = '', etag = '' } = update;
  const account = Account.fromPartial({ accountId, etag });
  const updateMask: string[] = [];
  if (overdraftLimitCents !== undefined) {
    account.overdraftLimitCents = overdraftLimitCents;
    updateMask.push('overdraft_limit_cents');
  }
  if (metadata !== undefined) {
    account.metadata = metadata;
    updateMask.push('metadata');
  }
  return { account, updateMask, reason };
}

/** Of FreezeAccount and of UnfreezeAccount. */
export function freezeRequest(accountId: string, change: FreezeChange): FreezeAccountRequest {
  const { only, reason = '', etag = '' } = change;
  if (only !== undefined && only !== 'DEBITS' && only !== 'CREDITS') {
    throw new TypeError(`only must be DEBITS or CREDITS, not ${only}`);
  }
  return { accountId, debits: only === 'DEBITS', credits: only === 'CREDITS', reason, etag };
}

export function closeRequest(accountId: string, { reason = '', etag = '' }: AccountChange): CloseAccountRequest {
  return { accountId, reason, etag };
}

export function listAccountsRequest(filter: AccountFilter, pageToken: string): ListAccountsRequest {
  const type = AccountType[`ACCOUNT_TYPE_${filter.type ?? 'UNSPECIFIED'}`];
  return ListAccountsRequest.fromPartial({ ...filter, type, pageToken });
}

export function listEntriesRequest(accountId: string, filter: EntryFilter, pageToken: string) {
  const { oldestFirst = false, ...others } = filter;
  const order = AccountEntryOrder[`ACCOUNT_ENTRY_ORDER_${oldestFirst ? 'OLDEST' : 'NEWEST'}_FIRST`];
  return ListAccountEntriesRequest.fromPartial({ ...others, accountId, order, pageToken });
}

export function snapshotRequest(accountId: string, point: SnapshotPoint): GetBalanceSnapshotRequest {
  return GetBalanceSnapshotRequest.fromPartial({ accountId, ...point });
}
