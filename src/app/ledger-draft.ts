import { actionOf, type Decided, expiryOf, paymentOf } from './actions-of-commands.ts';
import { type FirstCommand, isLater, type LaterCommand, payingAccountOf, type SingleCommand } from './commands.ts';
import type { Balance } from './domain/account.ts';
import { authorize, hold, isExternal } from './domain/authorize.ts';
import { actionDeclined, actionTaken } from './domain/event.ts';
import { capture, type LaterDecision, release, type Step, voidHold } from './domain/later-actions.ts';
import type { Action, Decline, Payment, Verdict } from './domain/payment.ts';
import { firstBalance, isDue, type PaymentBalance } from './domain/payment-balance.ts';
import { refund } from './domain/refund.ts';
import { entriesOf, sumOf } from './entries.ts';
import { ExternalPayerError } from './errors.ts';
import type { ChangedPayment, DecidedAction, LedgerChanges } from './ports.ts';

/**
 * Decides a batch of commands one after the other against balances that are locked,
 * and gathers what they change. Nothing is written here.
 */
export class LedgerDraft {
  readonly #balances: Map<string, Balance>;
  readonly #payments: Map<string, PaymentBalance>;
  readonly #now: Date;
  readonly #changed = new Set<string>();
  readonly #changedPayments = new Map<string, Omit<ChangedPayment, 'balance'>>();
  readonly #decided: DecidedAction[] = [];

  /** payments are the balances of those that have one, by payment id. */
  constructor(balances: readonly Balance[], payments: ReadonlyMap<string, PaymentBalance>, now: Date) {
    this.#balances = new Map(balances.map((balance) => [balance.accountId, balance]));
    this.#payments = new Map(payments);
    this.#now = now;
  }

  /** Throws ExternalPayerError, which ends the transaction, so that the key is free again. */
  checkPayer(command: SingleCommand): void {
    if (!('mayPayFromExternal' in command) || command.mayPayFromExternal) return;
    const payingAccountId = payingAccountOf(command);
    const payer = this.#balances.get(payingAccountId);
    if (payer !== undefined && isExternal(payer)) throw new ExternalPayerError(payingAccountId);
  }

  /**
   * Decides the command against the balances as the commands before it left them. Undefined if there is nothing to
   * decide: an expiry of what is not on hold any more, or not over yet.
   */
  decide(command: SingleCommand): Action | undefined {
    return isLater(command) ? this.#decideLater(command) : this.#decideFirst(command);
  }

  /** Takes note that an action was decided against. */
  decline(action: Action, decline: Decline, traceparent: string | undefined): Action {
    this.#decided.push({ action, entries: undefined, event: actionDeclined(action, decline), traceparent });
    return action;
  }

  /** A draft of its own on some of the same books, as they are now. Nothing comes of it unless it is merged. */
  branch(accountIds: ReadonlySet<string>, paymentIds: ReadonlySet<string>): LedgerDraft {
    const balances = [...accountIds].flatMap((accountId) => this.#balances.get(accountId) ?? []);
    const payments = [...paymentIds].flatMap((paymentId) => {
      const balance = this.#payments.get(paymentId);
      return balance === undefined ? [] : [[paymentId, balance] as const];
    });
    return new LedgerDraft(balances, new Map(payments), this.#now);
  }

  /** Takes over what was decided in a branch of this draft, which must not have changed since. */
  merge(branch: LedgerDraft): void {
    const { decided, balances, payments } = branch.changes();
    this.#decided.push(...decided);
    for (const balance of balances) this.#setBalance(balance);
    for (const { payment, balance, isNew } of payments) this.#setPayment(payment, balance, isNew);
  }

  /** Of a payment, as the commands until now left it; undefined if it has none of its own. */
  balanceOf(paymentId: string): PaymentBalance | undefined {
    return this.#payments.get(paymentId);
  }

  changes(): LedgerChanges {
    const sumCents = this.#decided.reduce((sum, { entries }) => sum + sumOf(entries), 0n);
    if (sumCents !== 0n) throw new Error(`Bug! The ledger entries of a batch sum to ${sumCents}, not to zero`);
    return {
      at: this.#now,
      decided: this.#decided,
      balances: [...this.#changed].map((accountId) => this.#balances.get(accountId)!),
      payments: [...this.#changedPayments].map(([id, changed]) => ({ ...changed, balance: this.#payments.get(id)! })),
    };
  }

  #decideFirst(command: FirstCommand): Action {
    const { kind, payerAccountId, payeeAccountId } = command;
    const decide = kind === 'HOLD' ? hold : authorize;
    const after = decide(command, this.#balances.get(payerAccountId), this.#balances.get(payeeAccountId));
    const verdict: Verdict =
      after.decline === undefined
        ? {
            status: 'AUTHORIZED',
            payerVersion: after.payer.version,
            payeeVersion: kind === 'HOLD' ? undefined : after.payee.version,
          }
        : { status: 'DECLINED', decline: after.decline };
    const payment = paymentOf(command, this.#now, verdict);
    if (after.decline !== undefined) return this.decline(payment, after.decline, command.traceparent);
    if (kind === 'HOLD') this.#setPayment(payment, firstBalance(payment), true);
    return this.#take(payment, after, command.traceparent);
  }

  #decideLater(command: LaterCommand): Action | undefined {
    const { payment, kind } = command;
    // Before anything else is decided of it: whether the sweeper has come by makes no difference.
    const expiry = this.#expireIfDue(command);
    if (kind === 'EXPIRY') return expiry;

    const decision = this.#decisionOn(command);
    const requested = actionOf(command, this.#now);
    if (decision.decline !== undefined) {
      const verdict = { status: 'DECLINED', decline: decision.decline } as const;
      const declined = { ...requested, amountCents: requested.requestedCents ?? 0n, releasedCents: 0n, verdict };
      return this.decline(declined, decision.decline, command.traceparent);
    }
    return this.#step(requested, payment, decision, command.traceparent);
  }

  #decisionOn(command: Exclude<LaterCommand, { kind: 'EXPIRY' }>): LaterDecision {
    const { payment } = command;
    const books = this.#booksOf(payment);
    switch (command.kind) {
      case 'CAPTURE':
        return capture(payment, books, command, this.#now);
      case 'VOID':
        return voidHold(payment, books, this.#now);
      case 'REFUND':
        return refund(payment, books, command, this.#now);
    }
  }

  #expireIfDue(command: LaterCommand): Action | undefined {
    const { payment } = command;
    const books = this.#booksOf(payment);
    if (!isDue(books.balance, this.#now)) return undefined;
    return this.#step(expiryOf(command, this.#now), payment, release(books, this.#now), undefined);
  }

  #step(action: Omit<Action, Decided>, payment: Payment, step: Step, traceparent: string | undefined): Action {
    const { amountCents, releasedCents, payer, payee } = step;
    this.#setPayment(payment, step.balance, false);
    const verdict: Verdict = {
      status: 'AUTHORIZED',
      payerVersion: payer.version,
      payeeVersion: amountCents > 0n ? payee.version : undefined,
    };
    return this.#take({ ...action, amountCents, releasedCents, verdict }, { payer, payee }, traceparent);
  }

  #booksOf(payment: Payment) {
    return {
      balance: this.#payments.get(payment.paymentId) ?? firstBalance(payment),
      // A payment that was authorized has both accounts, and no other has a balance that anything is done to.
      payer: this.#balances.get(payment.payerAccountId)!,
      payee: this.#balances.get(payment.payeeAccountId)!,
    };
  }

  #setPayment(payment: Payment, balance: PaymentBalance, isNew: boolean): void {
    const { paymentId } = payment;
    this.#payments.set(paymentId, balance);
    if (!this.#changedPayments.has(paymentId)) this.#changedPayments.set(paymentId, { payment, isNew });
  }

  #take(action: Action, after: { payer: Balance; payee: Balance }, traceparent: string | undefined): Action {
    const entries = entriesOf(action, after);
    this.#decided.push({ action, entries, event: actionTaken(action, entries), traceparent });
    this.#setBalance(after.payer);
    this.#setBalance(after.payee);
    return action;
  }

  #setBalance(balance: Balance): void {
    this.#balances.set(balance.accountId, balance);
    this.#changed.add(balance.accountId);
  }
}
