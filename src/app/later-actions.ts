import type { Admission } from './admission.ts';
import type { CaptureCommand, PaymentCommand, RefundCommand, VoidCommand } from './commands.ts';
import type { Outcome } from './decide-payments.ts';
import { rateLimited } from './domain/authorize.ts';
import { precheckCapture } from './domain/later-actions.ts';
import type { Payment } from './domain/payment.ts';
import { type CurrentPayment, firstBalance } from './domain/payment-balance.ts';
import { precheckRefund } from './domain/refund.ts';
import { notFound } from './errors.ts';
import type { ExternalPayers } from './external-payers.ts';
import type { GroupCommit } from './group-commit.ts';
import { decidedOf, type NotStored, notStored, type Stored } from './payment-service.ts';
import type { Ledger, RateLimiter } from './ports.ts';

type Made = 'actionId' | 'expiryId' | 'payment';

export type CaptureRequest = Omit<CaptureCommand, Made>;
export type VoidRequest = Omit<VoidCommand, Made>;
export type RefundRequest = Omit<RefundCommand, Made>;

/** As it is answered, whether anything was stored or not. */
type Answer = Stored | (NotStored & { readonly payment: CurrentPayment });

/** Who asks, for which payment. */
export interface Asked {
  readonly paymentId: string;
  /** Throws ServiceError if the caller may not do this to the payment. */
  readonly permit: (payment: Payment) => void;
  readonly abandoned: () => boolean;
  readonly deadlineMs: number;
}

/** What is done to payments there are. */
export class LaterActions {
  readonly #groupCommit: Pick<GroupCommit<PaymentCommand, Outcome>, 'submit'>;
  readonly #limiter: RateLimiter;
  readonly #ledger: Pick<Ledger, 'findPayment' | 'findFirstAction'>;
  readonly #lookUps: Admission;
  readonly #newId: () => string;
  readonly #externalPayers: ExternalPayers;

  /** newId makes ULIDs that rise. */
  constructor(
    groupCommit: Pick<GroupCommit<PaymentCommand, Outcome>, 'submit'>,
    limiter: RateLimiter,
    ledger: Pick<Ledger, 'findPayment' | 'findFirstAction'>,
    lookUps: Admission,
    newId: () => string,
    externalPayers: ExternalPayers,
  ) {
    this.#groupCommit = groupCommit;
    this.#limiter = limiter;
    this.#ledger = ledger;
    this.#lookUps = lookUps;
    this.#newId = newId;
    this.#externalPayers = externalPayers;
  }

  /**
   * Resolves when the capture is committed, or declined with nothing stored. Throws ServiceError NOT_FOUND,
   * KEY_REUSED, PERMISSION_DENIED with nothing stored, what permit throws, and those of GroupCommit.submit.
   */
  async capture(request: CaptureRequest, asked: Asked): Promise<Answer> {
    const payment = await this.#find(asked);
    const decline = precheckCapture(request);
    if (decline !== undefined) return { ...notStored(decline), payment: await this.#now(asked) };
    const { payerAccountId } = payment;
    this.#externalPayers.check({ payerAccountId, mayPayFromExternal: request.mayPayFromExternal });
    return this.#submit({ ...request, ...this.#ids(), payment }, asked);
  }

  /** Likewise. Releasing what is on hold brings no money into the books, whoever the payer is. */
  async void(request: VoidRequest, asked: Asked): Promise<Stored> {
    const payment = await this.#find(asked);
    return this.#submit({ ...request, ...this.#ids(), payment }, asked);
  }

  /** Likewise, and the refund takes a token of the payee, who pays it. */
  async refund(request: RefundRequest, asked: Asked): Promise<Answer> {
    const payment = await this.#find(asked);
    const decline = precheckRefund(request);
    if (decline !== undefined) return { ...notStored(decline), payment: await this.#now(asked) };

    const { mayPayFromExternal } = request;
    const paying = { payerAccountId: payment.payeeAccountId, mayPayFromExternal };
    this.#externalPayers.check(paying);

    const retryAfterMs = await this.#limiter.take(paying.payerAccountId);
    if (retryAfterMs > 0) {
      const refusal = notStored(rateLimited(paying, retryAfterMs), retryAfterMs);
      return { ...refusal, payment: await this.#now(asked) };
    }
    return this.#submit({ ...request, ...this.#ids(), payment }, asked);
  }

  /** What never changes of the payment is all that the command needs: it is decided on what is locked. */
  async #find({ paymentId, permit, abandoned }: Asked): Promise<Payment> {
    const payment = await this.#lookUps.run(() => this.#ledger.findFirstAction(paymentId), abandoned);
    if (payment === undefined) throw notFound('Payment', paymentId);
    permit(payment);
    return payment;
  }

  /** As it is answered beside what was not stored. */
  async #now({ paymentId, abandoned }: Asked): Promise<CurrentPayment> {
    const payment = await this.#lookUps.run(() => this.#ledger.findPayment(paymentId), abandoned);
    if (payment === undefined) throw notFound('Payment', paymentId);
    return payment;
  }

  #ids(): { readonly expiryId: string; readonly actionId: string } {
    return { expiryId: this.#newId(), actionId: this.#newId() };
  }

  async #submit(
    command: CaptureCommand | VoidCommand | RefundCommand,
    { abandoned, deadlineMs }: Asked,
  ): Promise<Stored> {
    const submitted = this.#groupCommit.submit(command, abandoned, deadlineMs);
    const { kind, action, balance } = decidedOf(await this.#externalPayers.learn(submitted));
    return { kind, action, payment: { ...command.payment, balance: balance ?? firstBalance(command.payment) } };
  }
}
