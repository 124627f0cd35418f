import type { Registry } from 'prom-client';
import type { AccountChanges } from '../../app/account-changes.ts';
import type { AccountChangeKind } from '../../app/domain/account-change.ts';
import { readOnScrape } from './on-scrape.ts';

type Changes = Pick<AccountChanges, 'open' | 'change'>;

/** Counts changes of accounts that were stored; calls that came to nothing are among the calls only. */
export class AccountMetrics {
  /** All are there from the start, so that each first one shows as a rise. */
  readonly #counts: Record<AccountChangeKind, number> = { OPENED: 0, UPDATED: 0, FROZEN: 0, UNFROZEN: 0, CLOSED: 0 };

  constructor(registry: Registry) {
    const help = 'Changes of accounts that were stored.';
    readOnScrape(registry, { name: 'payment_ledger_account_changes_total', help, type: 'counter' }, () =>
      Object.entries(this.#counts).map(([kind, value]) => ({ labels: { change: kind.toLowerCase() }, value })),
    );
  }

  /** The same, with its results counted. */
  counted(changes: Changes): Changes {
    return {
      open: async (...call) => this.#noted('OPENED', await changes.open(...call)),
      change: async (request, ...rest) => this.#noted(request.kind, await changes.change(request, ...rest)),
    };
  }

  #noted<Result extends { readonly changed: boolean }>(kind: AccountChangeKind, result: Result): Result {
    if (result.changed) this.#counts[kind] += 1;
    return result;
  }
}
