import { randomUUID } from 'node:crypto';
import { AccountCalls } from './account-calls.ts';
import { type BatchRequest, batchRequest, type CompletedBatch, doneOrThrow } from './batches.ts';
import { type CallOptions, Calls, overPages } from './calls.ts';
import type { LedgerClientOptions } from './connection.ts';
import { authorizedOrThrow, completedOrThrow, heldOrThrow, present } from './outcome.ts';
import {
  type AuthorizedPayment,
  type CaptureRequest,
  type CompletedAction,
  type HoldRequest,
  type PaymentRequest,
  type RefundRequest,
  type StoredAction,
  type StoredPayment,
  toStoredAction,
  toStoredPayment,
  type VoidRequest,
} from './payment-messages.ts';
import {
  authorizeRequest,
  captureRequest,
  holdRequest,
  listPaymentsRequest,
  type PaymentFilter,
  refundRequest,
  voidRequest,
} from './payment-requests.ts';

/** A key for one payment, one action on a payment, or one batch. Store it with what it is for before the first call. */
export function newIdempotencyKey(): string {
  return randomUUID();
}

/**
 * Payment Ledger, for callers. Calls that fail because the service is unreachable or has
 * too much to do are repeated within the call's time, with the same key. Errors are
 * LedgerErrors. One client serves a whole process; close() lets it end.
 */
export class LedgerClient extends AccountCalls {
  readonly #calls: Calls;

  /** address is host:port, or any name that gRPC resolves, such as dns:///ledger.example:50051. */
  constructor(address: string, options: LedgerClientOptions = {}) {
    const calls = new Calls(address, options);
    super(calls);
    this.#calls = calls;
  }

  /**
   * Moves the money, at once and for good, unless an earlier call with the key did so.
   * Resolves only if it has moved. Throws PaymentDeclinedError if it has not and will not,
   * OutcomeUnknownError if nobody can tell yet, RateLimitedError if the payer pays too
   * often, and other LedgerErrors where nothing was stored.
   */
  async authorizePayment(payment: PaymentRequest, options?: CallOptions): Promise<AuthorizedPayment> {
    const method = this.#calls.payments.authorizePayment;
    return this.#calls.callByKey(method, authorizeRequest(payment), options, authorizedOrThrow);
  }

  /**
   * Sets the money aside, for capturePayment to move and voidPayment to give back; so does
   * the end of its time. Resolves only if it is set aside, or was by an earlier call with
   * the key. Throws as authorizePayment.
   */
  async holdPayment(hold: HoldRequest, options?: CallOptions): Promise<CompletedAction> {
    return this.#calls.callByKey(this.#calls.payments.holdPayment, holdRequest(hold), options, heldOrThrow);
  }

  /**
   * Moves what is held, or a part of it, and releases the rest unless keepRemainder is true.
   * Resolves only if it has moved. Throws ActionDeclinedError if it was declined, with the
   * payment as it is, NotFoundError if there is no such payment, and otherwise as
   * authorizePayment.
   */
  async capturePayment(capture: CaptureRequest, options?: CallOptions): Promise<CompletedAction> {
    return this.#calls.callByKey(
      this.#calls.payments.capturePayment,
      captureRequest(capture),
      options,
      completedOrThrow,
    );
  }

  /** Releases all that is still held. Throws as capturePayment. */
  async voidPayment(request: VoidRequest, options?: CallOptions): Promise<CompletedAction> {
    return this.#calls.callByKey(this.#calls.payments.voidPayment, voidRequest(request), options, completedOrThrow);
  }

  /**
   * Moves what was captured, or a part of it, back to the payer. A payment that was
   * authorized at once counts as captured. Throws as capturePayment.
   */
  async refundPayment(refund: RefundRequest, options?: CallOptions): Promise<CompletedAction> {
    return this.#calls.callByKey(this.#calls.payments.refundPayment, refundRequest(refund), options, completedOrThrow);
  }

  /**
   * Does all items as one, or none. Resolves only if all are done, by this call or an
   * earlier one with the key. Throws BatchDeclinedError if one was declined, with its place,
   * NotFoundError if an item's payment does not exist, and otherwise as authorizePayment.
   */
  async executeBatch(batch: BatchRequest, options?: CallOptions): Promise<CompletedBatch> {
    const method = this.#calls.payments.executePaymentBatch;
    return this.#calls.callByKey(method, batchRequest(batch), options, doneOrThrow);
  }

  /** Throws NotFoundError if there is none. */
  async getPayment(paymentId: string, options?: CallOptions): Promise<StoredPayment> {
    return this.#getPayment({ paymentId, idempotencyKey: '' }, options);
  }

  /**
   * What became of a call whose answer was lost: the payment that it made, or acted on.
   * NotFoundError says that nothing is stored yet; a call that is still under way may store
   * its payment afterwards. Making the same call again with the same key tells for certain.
   */
  async getPaymentByKey(idempotencyKey: string, options?: CallOptions): Promise<StoredPayment> {
    return this.#getPayment({ paymentId: '', idempotencyKey }, options);
  }

  /** The newest first. Asks for pages as they are needed; each call of its own may take the time of options. */
  listPayments(filter: PaymentFilter, options?: CallOptions): AsyncGenerator<StoredPayment> {
    const { payments } = this.#calls;
    return overPages(async (pageToken) => {
      const request = listPaymentsRequest(filter, pageToken);
      const page = await this.#calls.call(payments, payments.listPayments, request, options);
      return { items: page.payments.map(toStoredPayment), nextPageToken: page.nextPageToken };
    });
  }

  /** What was done with a payment, declined attempts included, the oldest first. Throws NotFoundError. */
  listPaymentActions(paymentId: string, options?: CallOptions): AsyncGenerator<StoredAction> {
    const { payments } = this.#calls;
    return overPages(async (pageToken) => {
      const request = { paymentId, pageSize: 0, pageToken };
      const page = await this.#calls.call(payments, payments.listPaymentActions, request, options);
      return { items: page.actions.map(toStoredAction), nextPageToken: page.nextPageToken };
    });
  }

  /** Lets go of the connections. Calls in flight end first. */
  close(): void {
    this.#calls.close();
  }

  async #getPayment(
    request: { paymentId: string; idempotencyKey: string },
    options: CallOptions | undefined,
  ): Promise<StoredPayment> {
    const { payments } = this.#calls;
    return toStoredPayment(present((await this.#calls.call(payments, payments.getPayment, request, options)).payment));
  }
}
