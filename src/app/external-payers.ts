import type { AuthorizeCommand } from './commands.ts';
import { ExternalPayerError, ServiceError } from './errors.ts';

/** Accounts remembered. There are few EXTERNAL ones, and only administrators open them. */
const MAX_KNOWN = 10_000;

/**
 * Turns away callers who may not pay from EXTERNAL accounts before their command shares
 * a transaction with others: there it would fail the whole batch, whose other commands
 * then run one by one. Only the transaction knows an account that is new here, so each
 * can do that once. What an account is never changes.
 */
export class ExternalPayers {
  readonly #known = new Set<string>();

  /** Throws ServiceError PERMISSION_DENIED if the payer is known to be EXTERNAL and the caller may not pay from it. */
  check({ payerAccountId, mayPayFromExternal }: Pick<AuthorizeCommand, 'payerAccountId' | 'mayPayFromExternal'>): void {
    if (!mayPayFromExternal && this.#known.has(payerAccountId)) throw denied(payerAccountId);
  }

  /** Ends as the transaction does, with PERMISSION_DENIED for an account that was found to be EXTERNAL, and remembers it. */
  async learn<Outcome>(transaction: Promise<Outcome>): Promise<Outcome> {
    try {
      return await transaction;
    } catch (error) {
      if (!(error instanceof ExternalPayerError)) throw error;
      this.#remember(error.accountId);
      throw denied(error.accountId);
    }
  }

  #remember(accountId: string): void {
    this.#known.add(accountId);
    if (this.#known.size <= MAX_KNOWN) return;
    const [first] = this.#known;
    this.#known.delete(first!);
  }
}

function denied(accountId: string): ServiceError {
  return new ServiceError(
    {
      kind: 'PERMISSION_DENIED',
      reason: 'SCOPE_MISSING',
      metadata: { scope: 'accounts.admin', account_id: accountId },
    },
    `Paying from the EXTERNAL account ${accountId} needs the scope accounts.admin.`,
  );
}
