import type { Action } from '../../app/domain/payment.ts';
import type { CurrentPayment } from '../../app/domain/payment-balance.ts';
import type { NotStored, Stored } from '../../app/payment-service.ts';
import { type Payment, type PaymentAction, PaymentActionType, PaymentErrorCode } from '../../gen/payment/v1/payment.ts';
import type { CallSummary } from '../call-log.ts';
import { toPaymentError } from './payment-error.ts';
import { toPaymentMessage } from './payment-message.ts';

export function toActionMessage(action: Action): PaymentAction {
  const { actionId, paymentId, kind, verdict, amountCents, releasedCents, createdAt, description } = action;
  return {
    actionId,
    paymentId,
    type: PaymentActionType[`PAYMENT_ACTION_TYPE_${kind}`],
    error: verdict.status === 'DECLINED' ? toPaymentError(verdict.decline) : undefined,
    amountCents,
    releasedCents,
    createdAt: createdAt.toISOString(),
    description,
    reference: action.reference ?? '',
    metadata: action.metadata ?? {},
    batchId: action.batch?.batchId ?? '',
  };
}

/** What HoldPayment and its like answer. */
export interface ActionResponse {
  action: PaymentAction | undefined;
  payment: Payment | undefined;
  replayed: boolean;
}

/** request is what was asked for, as far as the answer to what was not stored repeats it. */
export function toActionResponse(
  result: Stored | (NotStored & { readonly payment?: CurrentPayment }),
  request: Pick<Action, 'kind' | 'amountCents' | 'description' | 'reference' | 'metadata'>,
): ActionResponse {
  if (result.kind !== 'NOT_STORED') {
    const { kind, action, payment } = result;
    return {
      action: toActionMessage(action),
      payment: toPaymentMessage(payment),
      replayed: kind === 'DUPLICATE',
    };
  }
  const { decline, retryAfterMs, at, payment } = result;
  const action: PaymentAction = {
    actionId: '',
    paymentId: payment?.paymentId ?? '',
    type: PaymentActionType[`PAYMENT_ACTION_TYPE_${request.kind}`],
    error: toPaymentError(decline, retryAfterMs),
    amountCents: request.amountCents,
    releasedCents: 0n,
    createdAt: at.toISOString(),
    description: request.description,
    reference: request.reference ?? '',
    metadata: request.metadata ?? {},
    batchId: '',
  };
  return { action, payment: payment && toPaymentMessage(payment), replayed: false };
}

/** For the log. */
export function summaryOf({ action, payment, replayed }: ActionResponse): CallSummary {
  const code = action?.error?.code;
  return { ...outcomeOf(replayed, code), paymentId: payment?.paymentId };
}

/** Of an action or a batch; code is why it was declined. */
export function outcomeOf(replayed: boolean, code: PaymentErrorCode | undefined): CallSummary {
  return {
    outcome: replayed ? 'DUPLICATE' : code === undefined ? 'TAKEN' : 'DECLINED',
    declineCode: code === undefined ? undefined : DECLINE_CODES[code],
  };
}

const PREFIX = 'PAYMENT_ERROR_CODE_';
const DECLINE_CODES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(PaymentErrorCode).map(([name, number]) => [number, name.slice(PREFIX.length)]),
);
