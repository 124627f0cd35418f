import type { AccountType } from './domain/account.ts';
import type { Ledger } from './ports.ts';

/** Accounts remembered: some 10 MB at most. */
const MAX_ACCOUNTS = 100_000;
/** How long an account that does not exist is not looked for again; by then it may have been opened. */
const UNKNOWN_FOR_MS = 10_000;

interface Known {
  /** Undefined if there is no such account. */
  readonly type: AccountType | undefined;
  readonly untilMs: number;
}

/**
 * The types of accounts, which never change, so that each is looked up once. Bounded, also
 * against callers who make ids up.
 */
export class AccountTypes {
  readonly #ledger: Pick<Ledger, 'findAccountType'>;
  readonly #maxAccounts: number;
  /** The longest unused first. */
  readonly #known = new Map<string, Known>();

  constructor(ledger: Pick<Ledger, 'findAccountType'>, maxAccounts = MAX_ACCOUNTS) {
    this.#ledger = ledger;
    this.#maxAccounts = maxAccounts;
  }

  /** What is known without looking. nowMs is of any clock that never goes back. */
  known(accountId: string, nowMs: number): Known | undefined {
    const known = this.#known.get(accountId);
    if (known === undefined) return undefined;
    this.#known.delete(accountId);
    if (known.untilMs <= nowMs) return undefined;
    this.#known.set(accountId, known);
    return known;
  }

  /** Undefined if there is no such account. Throws as Ledger does. */
  async find(accountId: string, nowMs: number): Promise<AccountType | undefined> {
    const known = this.known(accountId, nowMs);
    if (known !== undefined) return known.type;
    const type = await this.#ledger.findAccountType(accountId);
    const untilMs = type === undefined ? nowMs + UNKNOWN_FOR_MS : Number.POSITIVE_INFINITY;
    this.#known.set(accountId, { type, untilMs });
    if (this.#known.size > this.#maxAccounts) this.#forgetOldest();
    return type;
  }

  #forgetOldest(): void {
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
  }
}
