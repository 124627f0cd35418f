import {
  Account,
  AccountEntryOrder,
  AccountType,
  FreezeAccountRequest,
  type GetBalanceSnapshotRequest,
  type ListAccountEntriesRequest,
  type ListAccountsRequest,
  UnfreezeAccountRequest,
} from '../../src/gen/payment/v1/account.ts';
import { ServiceClient } from './service-client.ts';

/** What LedgerClient asks about accounts. */
export abstract class AccountClient extends ServiceClient {
  async account(accountId: string) {
    return (await this.call(this.accounts, this.accounts.getAccount, { accountId })).account;
  }

  listAccounts(request: Partial<ListAccountsRequest>) {
    const complete = { pageSize: 0, pageToken: '', currency: '', type: AccountType.ACCOUNT_TYPE_UNSPECIFIED };
    return this.call(this.accounts, this.accounts.listAccounts, { ...complete, ...request });
  }

  /** The newest first unless told otherwise. */
  entries(accountId: string, request: Partial<ListAccountEntriesRequest> = {}) {
    const complete = {
      accountId,
      pageSize: 0,
      pageToken: '',
      order: AccountEntryOrder.ACCOUNT_ENTRY_ORDER_UNSPECIFIED,
      createdFrom: '',
      createdBefore: '',
      versionFrom: 0n,
      versionBefore: 0n,
    };
    return this.call(this.accounts, this.accounts.listAccountEntries, { ...complete, ...request });
  }

  snapshot(accountId: string, point: Omit<GetBalanceSnapshotRequest, 'accountId'>) {
    return this.call(this.accounts, this.accounts.getBalanceSnapshot, { accountId, ...point });
  }

  /** Opens a CUSTOMER account in RUB unless told otherwise. */
  async open(
    accountId: string,
    overrides: { currency?: string; type?: AccountType; overdraftLimitCents?: bigint } = {},
  ) {
    const customer = { currency: 'RUB', type: AccountType.ACCOUNT_TYPE_CUSTOMER, overdraftLimitCents: 0n };
    const request = { accountId, ...customer, ...overrides };
    return (await this.call(this.accounts, this.accounts.openAccount, request)).account;
  }

  /** Changes what is given, and nothing else. */
  async updateAccount(
    accountId: string,
    {
      etag = '',
      reason = '',
      ...changes
    }: { etag?: string; reason?: string; overdraftLimitCents?: bigint; metadata?: Record<string, string> },
  ) {
    const names = { overdraftLimitCents: 'overdraft_limit_cents', metadata: 'metadata' } as const;
    const updateMask = (Object.keys(changes) as (keyof typeof names)[]).map((name) => names[name]);
    const request = { account: Account.fromPartial({ accountId, etag, ...changes }), updateMask, reason };
    return (await this.call(this.accounts, this.accounts.updateAccount, request)).account;
  }

  /** Debits and credits unless told otherwise. */
  async freeze(accountId: string, request: Partial<FreezeAccountRequest> = {}) {
    const complete = { ...FreezeAccountRequest.fromPartial(request), accountId };
    return (await this.call(this.accounts, this.accounts.freezeAccount, complete)).account;
  }

  /** Debits and credits unless told otherwise. */
  async unfreeze(accountId: string, request: Partial<UnfreezeAccountRequest> = {}) {
    const complete = { ...UnfreezeAccountRequest.fromPartial(request), accountId };
    return (await this.call(this.accounts, this.accounts.unfreezeAccount, complete)).account;
  }

  async closeAccount(accountId: string, { reason = '', etag = '' } = {}) {
    return (await this.call(this.accounts, this.accounts.closeAccount, { accountId, reason, etag })).account;
  }
}
