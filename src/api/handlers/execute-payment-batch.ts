import type { BatchNotStored, DecidedBatch, PaymentBatches } from '../../app/payment-batches.ts';
import { ExecutePaymentBatchRequest, type ExecutePaymentBatchResponse } from '../../gen/payment/v1/payment.ts';
import { checkExecutePaymentBatch } from '../batch-validation.ts';
import type { Rpc } from '../rpc.ts';
import { outcomeOf, toActionMessage } from './action-message.ts';
import { batchItemsOf } from './batch-items.ts';
import { toPaymentError } from './payment-error.ts';
import { toPaymentMessage } from './payment-message.ts';

export function executePaymentBatch(
  batches: Pick<PaymentBatches, 'execute'>,
): Rpc<ExecutePaymentBatchRequest, ExecutePaymentBatchResponse> {
  return {
    request: ExecutePaymentBatchRequest,
    scope: 'payments.authorize',
    async handle(request, call) {
      checkExecutePaymentBatch(request);
      const batch = {
        caller: call.caller.name,
        idempotencyKey: request.idempotencyKey,
        items: batchItemsOf(request, call),
        traceparent: call.traceparent(),
      };
      const asked = { abandoned: () => call.abandoned(), deadlineMs: call.deadlineMs() };
      return toResponse(await batches.execute(batch, asked));
    },
    summary: ({ batchId, error, replayed }) => ({ ...outcomeOf(replayed, error?.code), batchId: batchId || undefined }),
  };
}

function toResponse(result: DecidedBatch | BatchNotStored): ExecutePaymentBatchResponse {
  if (result.kind === 'NOT_STORED') {
    const { decline, retryAfterMs, item, at } = result;
    const error = toPaymentError(decline, retryAfterMs);
    return { ...EMPTY, error, declinedItem: item, createdAt: at.toISOString() };
  }
  const { kind, action, items } = result;
  const { actionId, verdict, createdAt, batch } = action;
  const declined = verdict.status === 'DECLINED';
  return {
    ...EMPTY,
    batchId: actionId,
    error: declined ? toPaymentError(verdict.decline) : undefined,
    declinedItem: declined ? batch?.item : undefined,
    actions: items.map((item) => toActionMessage(item.action)),
    payments: items.map((item) => toPaymentMessage(item.payment)),
    replayed: kind === 'DUPLICATE',
    createdAt: createdAt.toISOString(),
  };
}

const EMPTY = { batchId: '', error: undefined, declinedItem: undefined, actions: [], payments: [], replayed: false };
