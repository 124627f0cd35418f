import {
  type Payment,
  type PaymentAction,
  type PaymentError,
  paymentActionTypeToJSON,
  paymentErrorCodeToJSON,
  paymentStatusToJSON,
} from '../gen/payment/v1/payment.ts';
import { ExitCode } from './exit-codes.ts';
import { fields, json, shortName } from './output.ts';

/** What HoldPayment and the actions on a payment answer. */
interface Answer {
  readonly action: PaymentAction | undefined;
  readonly payment: Payment | undefined;
  readonly replayed: boolean;
}

export function declineJson({ code, message }: PaymentError) {
  return { code: shortName(paymentErrorCodeToJSON(code)), message };
}

export function actionJson(action: PaymentAction) {
  return {
    actionId: action.actionId || null,
    paymentId: action.paymentId || null,
    type: shortName(paymentActionTypeToJSON(action.type)),
    amountCents: action.amountCents,
    releasedCents: action.releasedCents,
    description: action.description,
    reference: action.reference,
    metadata: action.metadata,
    createdAt: action.createdAt,
    error: action.error === undefined ? null : declineJson(action.error),
  };
}

export function paymentJson(payment: Payment) {
  return {
    paymentId: payment.paymentId,
    payerAccountId: payment.payerAccountId,
    payeeAccountId: payment.payeeAccountId,
    amountCents: payment.amountCents,
    currency: payment.currency,
    status: shortName(paymentStatusToJSON(payment.status)),
    heldCents: payment.heldCents,
    capturedCents: payment.capturedCents,
    releasedCents: payment.releasedCents,
    refundedCents: payment.refundedCents,
    expiresAt: payment.expiresAt || null,
    description: payment.description,
    reference: payment.reference,
    metadata: payment.metadata,
    createdAt: payment.createdAt,
    updatedAt: payment.updatedAt,
    error: payment.error === undefined ? null : declineJson(payment.error),
  };
}

/** What is held of a payment, and what became of the rest, as fields of a report. */
export function amountsOf(payment: Payment): Record<string, string | undefined> {
  return {
    ...(payment.expiresAt && {
      'held (cents)': String(payment.heldCents),
      'captured (cents)': String(payment.capturedCents),
      'released (cents)': String(payment.releasedCents),
      'held until': payment.expiresAt,
    }),
    'refunded (cents)': payment.refundedCents > 0n ? String(payment.refundedCents) : undefined,
  };
}

/** Prints what became of a hold, or of an action on a payment, and returns how the command ends. */
export function printAnswer(idempotencyKey: string, answer: Answer, asJson: boolean | undefined): ExitCode {
  const { replayed, payment } = answer;
  const action = actionJson(answer.action!);
  const error = action.error && { ...action.error, retryAfterMs: answer.action!.error!.retryAfterMs };
  if (asJson) {
    const shown = payment === undefined ? null : paymentJson(payment);
    console.log(json({ idempotencyKey, replayed, action: { ...action, error }, payment: shown }));
  } else {
    const done = `${action.type} ${error === null ? 'done' : 'declined'}`;
    const report = {
      outcome: replayed ? `${done} by an earlier call with this key` : done,
      declined: error === null ? undefined : `${error.code}: ${error.message}`,
      action: action.actionId ?? 'none was stored: the key may be used again',
      'amount (cents)': action.amountCents > 0n ? String(action.amountCents) : undefined,
      key: idempotencyKey,
      decided: action.createdAt,
      payment: payment?.paymentId,
      status: payment && shortName(paymentStatusToJSON(payment.status)),
      ...(payment && amountsOf(payment)),
    };
    console.log(fields(report));
  }
  return error === null ? ExitCode.DONE : ExitCode.DECLINED;
}
