import type { Balance } from './domain/account.ts';
import { authorize } from './domain/authorize.ts';
import { paymentAuthorized, paymentDeclined } from './domain/event.ts';
import type { LedgerEntry } from './domain/ledger.ts';
import type { Decline, Payment } from './domain/payment.ts';
import type { AuthorizeCommand, LedgerChanges, OutboxEvent } from './ports.ts';

/** What identifies a command to its caller; a string, for maps. */
export function keyOf(command: { readonly caller: string; readonly idempotencyKey: string }): string {
  return `${command.caller}\n${command.idempotencyKey}`;
}

/**
 * Decides a batch of commands one after the other against balances that are locked,
 * and gathers what they change. Nothing is written here.
 */
export class LedgerDraft {
  readonly #balances: Map<string, Balance>;
  readonly #now: Date;
  readonly #changed = new Set<string>();
  readonly #payments: Payment[] = [];
  readonly #entries: LedgerEntry[] = [];
  readonly #events: OutboxEvent[] = [];

  constructor(balances: readonly Balance[], now: Date) {
    this.#balances = new Map(balances.map((balance) => [balance.accountId, balance]));
    this.#now = now;
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
      : this.#refuse(command, decision.decline);
  }

  changes(): LedgerChanges {
    const sumCents = this.#entries.reduce(
      (sum, { direction, amountCents }) => (direction === 'DEBIT' ? sum - amountCents : sum + amountCents),
      0n,
    );
    if (sumCents !== 0n) throw new Error(`Bug! The ledger entries of a batch sum to ${sumCents}, not to zero`);
    return {
      payments: this.#payments,
      entries: this.#entries,
      balances: [...this.#changed].map((accountId) => this.#balances.get(accountId)!),
      events: this.#events,
    };
  }

  #post(command: AuthorizeCommand, payer: Balance, payee: Balance): Payment {
    const payment = this.#add(command, {
      status: 'AUTHORIZED',
      payerVersion: payer.version,
      payeeVersion: payee.version,
    });
    const debit = entry(payment, 'DEBIT', payer);
    const credit = entry(payment, 'CREDIT', payee);
    this.#entries.push(debit, credit);
    this.#events.push({ ...paymentAuthorized(payment, debit, credit), traceparent: command.traceparent });
    for (const balance of [payer, payee]) {
      this.#balances.set(balance.accountId, balance);
      this.#changed.add(balance.accountId);
    }
    return payment;
  }

  #refuse(command: AuthorizeCommand, decline: Decline): Payment {
    const payment = this.#add(command, { status: 'DECLINED', decline });
    this.#events.push({ ...paymentDeclined(payment, decline), traceparent: command.traceparent });
    return payment;
  }

  #add(command: AuthorizeCommand, verdict: Payment['verdict']): Payment {
    const { paymentId, payerAccountId, payeeAccountId, amountCents, currency, description } = command;
    const payment = {
      paymentId,
      payerAccountId,
      payeeAccountId,
      amountCents,
      currency,
      description,
      createdAt: this.#now,
      verdict,
    };
    this.#payments.push(payment);
    return payment;
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
