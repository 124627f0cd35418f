import { AccountType } from '../src/gen/payment/v1/account.ts';
import {
  AccountRole,
  type AuthorizePaymentRequest,
  type AuthorizePaymentResponse,
  type CapturePaymentRequest,
  type GetPaymentRequest,
  type HoldPaymentRequest,
  type ListPaymentActionsRequest,
  type ListPaymentsRequest,
  type PaymentBatchItem,
  type RefundPaymentRequest,
  type VoidPaymentRequest,
} from '../src/gen/payment/v1/payment.ts';
import { AccountClient } from './client/account-client.ts';

const NO_NOTES = { description: '', reference: '', metadata: {} };

/** The service as a caller sees it, with promises: for tools and tests. Calls end after 30 seconds unless told otherwise. */
export class LedgerClient extends AccountClient {
  authorize(request: Partial<AuthorizePaymentRequest>, deadlineMs?: number): Promise<AuthorizePaymentResponse> {
    const complete = {
      idempotencyKey: crypto.randomUUID(),
      payerAccountId: '',
      payeeAccountId: '',
      amountCents: 0n,
      currency: 'RUB',
      description: '',
      reference: '',
      metadata: {},
      ...request,
    };
    return this.call(this.payments, this.payments.authorizePayment, complete, deadlineMs);
  }

  /** Holds for seven days unless told otherwise. */
  hold(request: Partial<HoldPaymentRequest>) {
    const complete = {
      idempotencyKey: crypto.randomUUID(),
      payerAccountId: '',
      payeeAccountId: '',
      amountCents: 0n,
      currency: 'RUB',
      ...NO_NOTES,
      ttl: undefined,
    };
    return this.call(this.payments, this.payments.holdPayment, { ...complete, ...request });
  }

  /** Captures all that is held unless told otherwise. */
  capture(paymentId: string, request: Partial<CapturePaymentRequest> = {}) {
    const complete = { idempotencyKey: crypto.randomUUID(), paymentId, amountCents: undefined, keepRemainder: false };
    return this.call(this.payments, this.payments.capturePayment, { ...complete, ...NO_NOTES, ...request });
  }

  void(paymentId: string, request: Partial<VoidPaymentRequest> = {}) {
    const complete = { idempotencyKey: crypto.randomUUID(), paymentId, ...NO_NOTES };
    return this.call(this.payments, this.payments.voidPayment, { ...complete, ...request });
  }

  /** Refunds all that can be refunded unless told otherwise. */
  refund(paymentId: string, request: Partial<RefundPaymentRequest> = {}) {
    const complete = { idempotencyKey: crypto.randomUUID(), paymentId, amountCents: undefined, ...NO_NOTES };
    return this.call(this.payments, this.payments.refundPayment, { ...complete, ...request });
  }

  /** batchItems makes the items. */
  batch(items: PaymentBatchItem[], idempotencyKey: string = crypto.randomUUID()) {
    return this.call(this.payments, this.payments.executePaymentBatch, { idempotencyKey, items });
  }

  actions(paymentId: string, request: Partial<ListPaymentActionsRequest> = {}) {
    const complete = { paymentId, pageSize: 0, pageToken: '' };
    return this.call(this.payments, this.payments.listPaymentActions, { ...complete, ...request });
  }

  getPayment(request: GetPaymentRequest) {
    return this.call(this.payments, this.payments.getPayment, request);
  }

  async payment(paymentId: string) {
    return (await this.getPayment({ paymentId, idempotencyKey: '' })).payment;
  }

  async paymentByKey(idempotencyKey: string) {
    return (await this.getPayment({ paymentId: '', idempotencyKey })).payment;
  }

  listPayments(request: Partial<ListPaymentsRequest>) {
    const complete = {
      pageSize: 0,
      pageToken: '',
      accountId: '',
      role: AccountRole.ACCOUNT_ROLE_UNSPECIFIED,
      statuses: [],
      reference: '',
      batchId: '',
      createdFrom: '',
      createdBefore: '',
    };
    return this.call(this.payments, this.payments.listPayments, { ...complete, ...request });
  }

  balance(accountId: string) {
    return this.call(this.payments, this.payments.getAccountBalance, { accountId });
  }

  /** Opens an account and pays it the amount from an EXTERNAL account, which is opened too. */
  async openFunded(accountId: string, amountCents: bigint, currency = 'RUB'): Promise<void> {
    const external = `external-${currency}`;
    await this.open(external, { currency, type: AccountType.ACCOUNT_TYPE_EXTERNAL });
    await this.open(accountId, { currency });
    await this.authorize({ payerAccountId: external, payeeAccountId: accountId, amountCents, currency });
  }
}
