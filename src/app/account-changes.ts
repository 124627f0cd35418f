import type { Admission } from './admission.ts';
import type { Account, AccountOpening, Balance } from './domain/account.ts';
import { type AccountChange, type AccountRequest, decideChange } from './domain/account-change.ts';
import { notFound, ServiceError } from './errors.ts';
import type { OutboxHint } from './ports.ts';

/** A change, and what is written with it. */
export interface RecordedChange {
  readonly change: AccountChange;
  /** W3C trace context, for the event. */
  readonly traceparent: string | undefined;
}

/** An account whose balance is locked until the end of the transaction. */
export interface LockedAccount {
  readonly account: Account;
  readonly balance: Balance;
  /** What made the account what it is; undefined for one that was opened before changes were recorded. */
  readonly last: Pick<AccountChange, 'kind' | 'caller'> | undefined;
  /** The time by the ledger's one clock, and not before the account's last entry or change. */
  readonly at: Date;
}

/** Changes of accounts, each in a transaction of its own. Throw ServiceError as Ledger does. */
export interface AccountLedger {
  /** Opens the account if its id is free, with its change and event; returns the account that has the id. */
  open(opening: RecordedChange): Promise<{
    readonly opened: boolean;
    readonly asOpened: AccountOpening;
    readonly account: Account;
  }>;
  /**
   * Locks the account, so that neither a payment nor another change comes in between, and
   * writes the change that decide returns, with its event. Returns what decide returned;
   * or undefined, without a call of decide, if there is no such account. What decide
   * throws ends the transaction.
   */
  change<Decided extends { readonly write: RecordedChange | undefined }>(
    accountId: string,
    decide: (locked: LockedAccount) => Decided,
  ): Promise<Decided | undefined>;
}

/** Who asks for a change, and on what account. */
export interface ChangeContext {
  readonly accountId: string;
  /** The authenticated identity; empty while calls are not authenticated. */
  readonly caller: string;
  readonly reason: string;
  readonly traceparent: string | undefined;
}

/** Opening, changing and closing accounts. */
export class AccountChanges {
  readonly #ledger: AccountLedger;
  readonly #admission: Admission;
  readonly #outboxHint: OutboxHint;
  readonly #newId: () => string;

  /** newId makes ULIDs. */
  constructor(ledger: AccountLedger, admission: Admission, outboxHint: OutboxHint, newId: () => string) {
    this.#ledger = ledger;
    this.#admission = admission;
    this.#outboxHint = outboxHint;
    this.#newId = newId;
  }

  /**
   * Opens an account, or finds that it was opened just so before, and returns it as it is
   * now. An EXTERNAL account has no limit: null. Throws ServiceError ACCOUNT_EXISTS if the
   * id is taken by an account that was opened differently; and those of Admission.run.
   */
  async open(
    request: Omit<AccountOpening, 'openedAt'>,
    { caller, traceparent }: Pick<ChangeContext, 'caller' | 'traceparent'>,
    abandoned: () => boolean,
  ): Promise<{ readonly account: Account; readonly changed: boolean }> {
    const opening = () => {
      const now = new Date();
      const account = { ...request, ...UNFROZEN, revision: 1n, openedAt: now, changedAt: now };
      const change = { changeId: this.#newId(), kind: 'OPENED', account, reason: '', caller } as const;
      return this.#ledger.open({ change, traceparent });
    };
    const { opened, asOpened, account } = await this.#admission.run(opening, abandoned);
    if (opened) this.#outboxHint.committed();
    const fields = ['currency', 'type', 'overdraftLimitCents'] as const;
    const differing = fields.filter((field) => asOpened[field] !== request[field]);
    if (differing.length === 0) return { account, changed: opened };
    throw new ServiceError(
      { kind: 'ACCOUNT_EXISTS', accountId: account.accountId, differing },
      `Account ${account.accountId} exists and differs.`,
    );
  }

  /**
   * Resolves when the change is committed, or when nothing is to be changed, with the
   * account as it is then. Throws ServiceError NOT_FOUND, and ACCOUNT_REFUSED with nothing
   * stored; and those of Admission.run.
   */
  async change(
    request: AccountRequest,
    context: ChangeContext,
    abandoned: () => boolean,
  ): Promise<{ readonly account: Account; readonly changed: boolean }> {
    const { accountId, caller, reason, traceparent } = context;
    const decide = ({ account, balance, last, at }: LockedAccount) => {
      const decision = decideChange(account, balance, last, request, caller);
      switch (decision.kind) {
        case 'UNCHANGED':
          return { account, write: undefined };
        case 'REFUSED':
          throw new ServiceError({ kind: 'ACCOUNT_REFUSED', accountId, reason: decision.reason }, decision.message);
        case 'CHANGE': {
          const after = { ...account, ...decision.terms, revision: account.revision + 1n, changedAt: at };
          const change = { changeId: this.#newId(), kind: request.kind, account: after, reason, caller };
          return { account: after, write: { change, traceparent } };
        }
      }
    };
    const decided = await this.#admission.run(() => this.#ledger.change(accountId, decide), abandoned);
    if (decided === undefined) throw notFound('Account', accountId);
    const changed = decided.write !== undefined;
    if (changed) this.#outboxHint.committed();
    return { account: decided.account, changed };
  }
}

const UNFROZEN = { debitsFrozen: false, creditsFrozen: false, closed: false, metadata: undefined } as const;
