import type { Account } from '../../../src/gen/payment/v1/account.ts';
import {
  type Balance,
  type BalanceSnapshot,
  type LedgerAccount,
  type LedgerEntry,
  toLedgerAccount,
  toLedgerEntry,
} from './account-messages.ts';
import {
  type AccountChange,
  type AccountFilter,
  type AccountUpdate,
  closeRequest,
  type EntryFilter,
  type FreezeChange,
  freezeRequest,
  listAccountsRequest,
  listEntriesRequest,
  type NewAccount,
  openRequest,
  type SnapshotPoint,
  snapshotRequest,
  updateRequest,
} from './account-requests.ts';
import { type CallOptions, type Calls, overPages } from './calls.ts';
import { present } from './outcome.ts';

/** The calls about accounts; LedgerClient has them with those about payments. */
export abstract class AccountCalls {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Safe to repeat. Throws AccountExistsError if the id is taken by an account of another kind. */
  async openAccount(account: NewAccount, options?: CallOptions): Promise<LedgerAccount> {
    const { accounts } = this.#calls;
    return toAccount(await this.#calls.call(accounts, accounts.openAccount, openRequest(account), options));
  }

  /** Throws NotFoundError. */
  async getAccount(accountId: string, options?: CallOptions): Promise<LedgerAccount> {
    const { accounts } = this.#calls;
    return toAccount(await this.#calls.call(accounts, accounts.getAccount, { accountId }, options));
  }

  /**
   * Changes the overdraft limit, the metadata or both. Throws ChangeRefusedError if the
   * account's state forbids it, EtagMismatchError and NotFoundError, as do all changes.
   */
  async updateAccount(accountId: string, update: AccountUpdate, options?: CallOptions): Promise<LedgerAccount> {
    const { accounts } = this.#calls;
    const request = updateRequest(accountId, update);
    return toAccount(await this.#calls.call(accounts, accounts.updateAccount, request, options));
  }

  /** Keeps it from paying, being paid, or both: such payments are declined with ACCOUNT_FROZEN. */
  async freezeAccount(accountId: string, change: FreezeChange = {}, options?: CallOptions): Promise<LedgerAccount> {
    const { accounts } = this.#calls;
    const request = freezeRequest(accountId, change);
    return toAccount(await this.#calls.call(accounts, accounts.freezeAccount, request, options));
  }

  async unfreezeAccount(accountId: string, change: FreezeChange = {}, options?: CallOptions): Promise<LedgerAccount> {
    const { accounts } = this.#calls;
    const request = freezeRequest(accountId, change);
    return toAccount(await this.#calls.call(accounts, accounts.unfreezeAccount, request, options));
  }

  /** For good. Its balances must be zero. */
  async closeAccount(accountId: string, change: AccountChange = {}, options?: CallOptions): Promise<LedgerAccount> {
    const { accounts } = this.#calls;
    const request = closeRequest(accountId, change);
    return toAccount(await this.#calls.call(accounts, accounts.closeAccount, request, options));
  }

  /** By their ids. For callers that are not bound to accounts. */
  listAccounts(filter: AccountFilter = {}, options?: CallOptions): AsyncGenerator<LedgerAccount> {
    const { accounts } = this.#calls;
    return overPages(async (pageToken) => {
      const request = listAccountsRequest(filter, pageToken);
      const page = await this.#calls.call(accounts, accounts.listAccounts, request, options);
      return { items: page.accounts.map(toLedgerAccount), nextPageToken: page.nextPageToken };
    });
  }

  /** An account's statement. Throws NotFoundError. */
  listEntries(accountId: string, filter: EntryFilter = {}, options?: CallOptions): AsyncGenerator<LedgerEntry> {
    const { accounts } = this.#calls;
    return overPages(async (pageToken) => {
      const request = listEntriesRequest(accountId, filter, pageToken);
      const page = await this.#calls.call(accounts, accounts.listAccountEntries, request, options);
      return { items: page.entries.map(toLedgerEntry), nextPageToken: page.nextPageToken };
    });
  }

  /** As of the last committed payment. Throws NotFoundError. */
  async getBalance(accountId: string, options?: CallOptions): Promise<Balance> {
    const { payments } = this.#calls;
    return this.#calls.call(payments, payments.getAccountBalance, { accountId }, options);
  }

  /** What an account held. Throws NotFoundError if there is no such account, or no entry of that version yet. */
  async getBalanceSnapshot(accountId: string, point: SnapshotPoint, options?: CallOptions): Promise<BalanceSnapshot> {
    const { accounts } = this.#calls;
    const request = snapshotRequest(accountId, point);
    const { lastEntryAt, ...balance } = await this.#calls.call(accounts, accounts.getBalanceSnapshot, request, options);
    return { ...balance, lastEntryAt: lastEntryAt === '' ? undefined : lastEntryAt };
  }
}

function toAccount({ account }: { account: Account | undefined }): LedgerAccount {
  return toLedgerAccount(present(account));
}
