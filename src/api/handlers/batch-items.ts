import { about } from '../../app/errors.ts';
import type { BatchItem } from '../../app/payment-batches.ts';
import type {
  ExecutePaymentBatchRequest,
  HoldItem,
  PaymentBatchItem,
  TransferItem,
} from '../../gen/payment/v1/payment.ts';
import { requireAccount } from '../access/accounts.ts';
import { kindOf } from '../batch-validation.ts';
import { ttlMs } from '../hold-validation.ts';
import type { Call } from '../rpc.ts';
import { asked } from './asked.ts';
import { notesOf } from './notes.ts';

/**
 * The items of a checked request. Throws ServiceError PERMISSION_DENIED if the caller may not pay from an account,
 * and NOT_FOUND for what is no payment id, both with the field of the item.
 */
export function batchItemsOf({ idempotencyKey, items }: ExecutePaymentBatchRequest, call: Call): BatchItem[] {
  const { name: caller, scopes } = call.caller;
  const common = {
    idempotencyKey,
    caller,
    mayPayFromExternal: scopes.has('accounts.admin'),
    traceparent: call.traceparent(),
  };
  return items.map((item, index) => {
    const field = `items[${index}].${kindOf(item)}`;
    return { field, ...about(field, () => itemOf(item, common, call)) };
  });
}

type Common = Pick<BatchItem['request'], 'idempotencyKey' | 'caller' | 'traceparent'> & {
  readonly mayPayFromExternal: boolean;
};

function itemOf({ transfer, hold, capture, void: voided, refund }: PaymentBatchItem, common: Common, call: Call) {
  if (transfer !== undefined) {
    return { request: { kind: 'PAYMENT', ...common, ...partiesOf(transfer, call) } as const };
  }
  if (hold !== undefined) {
    return { request: { kind: 'HOLD', ...common, ...partiesOf(hold, call), ttlMs: ttlMs(hold.ttl) } as const };
  }
  if (capture !== undefined) {
    const { amountCents: requestedCents, keepRemainder } = capture;
    const request = { kind: 'CAPTURE', ...common, ...notesOf(capture), requestedCents, keepRemainder } as const;
    return { request, asked: asked(capture, call) };
  }
  if (voided !== undefined) {
    const { mayPayFromExternal: _, ...of } = common;
    return { request: { kind: 'VOID', ...of, ...notesOf(voided) } as const, asked: asked(voided, call) };
  }
  const requested = { ...notesOf(refund!), requestedCents: refund!.amountCents };
  return {
    request: { kind: 'REFUND', ...common, ...requested } as const,
    asked: asked(refund!, call, 'payeeAccountId'),
  };
}

function partiesOf(item: TransferItem | HoldItem, call: Call) {
  requireAccount(call.caller, item.payerAccountId);
  const { payerAccountId, payeeAccountId, amountCents, currency } = item;
  return { payerAccountId, payeeAccountId, amountCents, currency, ...notesOf(item) };
}
