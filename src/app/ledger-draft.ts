import type { Balance } from './domain/account.ts';
import { authorize, isExternal } from './domain/authorize.ts';
import { paymentAuthorized, paymentDeclined } from './domain/event.ts';
import type { LedgerEntry } from './domain/ledger.ts';
import type { Decline, Payment } from './domain/payment.ts';
import { ExternalPayerError } from './errors.ts';
import type { AuthorizeCommand, CallerKey, DecidedPayment, LedgerChanges } from './ports.ts';

/** What identifies a command to its caller; a string, for maps. */
export function keyOf({ caller, idempotencyKey }: CallerKey): string {
  // The length keeps apart callers and keys that only together are the same text.
  return `${caller.length}:${caller}${idempotencyKey}`;
}

/**
 * Decides a batch of commands one after the other against balances that are locked,
 * and gathers what they change. Nothing is written here.
 */
export class LedgerDraft {
  readonly #balances: Map<string, Balance>;
  readonly #now: Date;
  readonly #changed = new Set<string>();
  readonly #decided: DecidedPayment[] = [];

  constructor(balances: readonly Balance[], now: Date) {
    this.#balances = new Map(balances.map((balance) => [balance.accountId, balance]));
    this.#now = now;
  }

  /** Throws ExternalPayerError, which ends the transaction, so that the key is free again. */
  checkPayer({ payerAccountId, mayPayFromExternal }: AuthorizeCommand): void {
    if (mayPayFromExternal) return;
    const payer = this.#balances.get(payerAccountId);
    if (payer !== undefined && isExternal(payer)) throw new ExternalPayerError(payerAccountId);
  }

  /** Decides the command against the balances as the commands before it left them. */
  decide(command: AuthorizeCommand): Payment {
    const decision = authorize(
      command,
      this.#balances.get(command.payerAccountId),
      this.#balances.get(command.payeeAccountId),
    );
    return decision.decline === undefined
      ? this.#post(command, decision.payer, decision.payee)
      : this.#decline(command, decision.decline);
  }

  changes(): LedgerChanges {
    const sumCents = this.#decided.reduce(
      (sum, { entries }) =>
        entries === undefined ? sum : sum - entries.debit.amountCents + entries.credit.amountCents,
      0n,
    );
    if (sumCents !== 0n) throw new Error(`Bug! The ledger entries of a batch sum to ${sumCents}, not to zero`);
    return {
      at: this.#now,
      decided: this.#decided,
      balances: [...this.#changed].map((accountId) => this.#balances.get(accountId)!),
    };
  }

  #post(command: AuthorizeCommand, payer: Balance, payee: Balance): Payment {
    const payment = this.#payment(command, {
      status: 'AUTHORIZED',
      payerVersion: payer.version,
      payeeVersion: payee.version,
    });
    const debit = entry(payment, 'DEBIT', payer);
    const credit = entry(payment, 'CREDIT', payee);
    this.#decided.push({
      payment,
      entries: { debit, credit },
      event: paymentAuthorized(payment, debit, credit),
      traceparent: command.traceparent,
    });
    for (const balance of [payer, payee]) {
      this.#balances.set(balance.accountId, balance);
      this.#changed.add(balance.accountId);
    }
    return payment;
  }

  #decline(command: AuthorizeCommand, decline: Decline): Payment {
    const payment = this.#payment(command, { status: 'DECLINED', decline });
    const event = paymentDeclined(payment, decline);
    this.#decided.push({ payment, entries: undefined, event, traceparent: command.traceparent });
    return payment;
  }

  #payment(command: AuthorizeCommand, verdict: Payment['verdict']): Payment {
    const { paymentId, payerAccountId, payeeAccountId, amountCents, currency, description, reference, metadata } =
      command;
    return {
      paymentId,
      payerAccountId,
      payeeAccountId,
      amountCents,
      currency,
      description,
      reference,
      metadata,
      createdAt: this.#now,
      verdict,
    };
  }
}

function entry(payment: Payment, direction: LedgerEntry['direction'], after: Balance): LedgerEntry {
  return {
    accountId: after.accountId,
    version: after.version,
    paymentId: payment.paymentId,
    direction,
    amountCents: payment.amountCents,
    balanceAfterCents: after.availableCents,
    createdAt: payment.createdAt,
  };
}
