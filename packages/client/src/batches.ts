import {
  type ExecutePaymentBatchRequest,
  type ExecutePaymentBatchResponse,
  PaymentBatchItem,
  PaymentErrorCode,
} from '../../../src/gen/payment/v1/payment.ts';
import { BatchDeclinedError, LedgerError } from './errors.ts';
import { declineCode } from './names.ts';
import { present, rateLimit } from './outcome.ts';
import {
  type CaptureRequest,
  type HoldRequest,
  type PaymentRequest,
  type RefundRequest,
  type StoredAction,
  type StoredPayment,
  toStoredAction,
  toStoredPayment,
  type VoidRequest,
} from './payment-messages.ts';
import { authorizeRequest, captureRequest, holdRequest, refundRequest, voidRequest } from './payment-requests.ts';

type Keyless<Request> = Omit<Request, 'idempotencyKey'>;

/** One of the things to do: what the method of its kind takes, but for the key. */
export type BatchItem =
  | { readonly transfer: Keyless<PaymentRequest> }
  | { readonly hold: Keyless<HoldRequest> }
  | { readonly capture: Keyless<CaptureRequest> }
  | { readonly void: Keyless<VoidRequest> }
  | { readonly refund: Keyless<RefundRequest> };

/** What to do as one. A repeated call must have the same items in the same order; only descriptions may differ. */
export interface BatchRequest {
  /** One for each batch, stored before the call: newIdempotencyKey() makes one. */
  readonly idempotencyKey: string;
  /** 1 to 100, decided in their order, each on what the ones before have left. */
  readonly items: readonly BatchItem[];
}

/** All of it is done. */
export interface CompletedBatch {
  readonly batchId: string;
  /** What each item did, in the order of the items. */
  readonly actions: readonly StoredAction[];
  /** The payment of each item, in the same order, as it is now. */
  readonly payments: readonly StoredPayment[];
  /** RFC 3339. */
  readonly createdAt: string;
  /** True if an earlier call with this key did it, and not this one. */
  readonly duplicate: boolean;
}

export function batchRequest({ idempotencyKey, items }: BatchRequest): ExecutePaymentBatchRequest {
  return { idempotencyKey, items: items.map(batchItem) };
}

/** The batch if all of it is done, by this call or an earlier one with the key. Throws BatchDeclinedError and RateLimitedError. */
export function doneOrThrow(response: ExecutePaymentBatchResponse, idempotencyKey: string): CompletedBatch {
  const { batchId, error, declinedItem, actions, payments, createdAt, replayed: duplicate } = response;
  if (error?.code === PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED) throw rateLimit(error, idempotencyKey);
  if (error !== undefined) {
    throw new BatchDeclinedError(error.message, {
      code: declineCode(error.code),
      idempotencyKey,
      declinedItem: present(declinedItem),
      batchId: batchId === '' ? undefined : batchId,
      duplicate,
    });
  }
  if (batchId === '') throw new LedgerError('The answer has neither a batch nor an error.');
  return {
    batchId,
    actions: actions.map(toStoredAction),
    payments: payments.map(toStoredPayment),
    createdAt,
    duplicate,
  };
}

/** Of an item with two kinds the service would see the last alone, so such an item is not sent. */
function batchItem(item: BatchItem, index: number): PaymentBatchItem {
  const kinds = Object.keys(item);
  const place = `items[${index}]`;
  if (kinds.length !== 1) {
    throw new TypeError(
      `${place} must be one of transfer, hold, capture, void and refund, not ${kinds.join(' and ') || 'empty'}`,
    );
  }
  try {
    return PaymentBatchItem.fromPartial(actionOf(item));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new TypeError(`${place}.${kinds[0]}: ${error.message}`, { cause: error });
  }
}

function actionOf(item: BatchItem): Partial<PaymentBatchItem> {
  const idempotencyKey = '';
  if ('transfer' in item) return { transfer: authorizeRequest({ ...item.transfer, idempotencyKey }) };
  if ('hold' in item) return { hold: holdRequest({ ...item.hold, idempotencyKey }) };
  if ('capture' in item) return { capture: captureRequest({ ...item.capture, idempotencyKey }) };
  if ('void' in item) return { void: voidRequest({ ...item.void, idempotencyKey }) };
  if ('refund' in item) return { refund: refundRequest({ ...item.refund, idempotencyKey }) };
  throw new TypeError('It is none of transfer, hold, capture, void and refund');
}
