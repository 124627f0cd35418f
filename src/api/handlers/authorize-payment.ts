import type { AuthorizeResult, Payments } from '../../app/payment-service.ts';
import {
  AuthorizePaymentRequest,
  type AuthorizePaymentResponse,
  PaymentErrorCode,
  PaymentStatus,
} from '../../gen/payment/v1/payment.ts';
import { requireAccount } from '../access/accounts.ts';
import type { Rpc } from '../rpc.ts';
import { checkAuthorizePayment } from '../validation.ts';
import { notesOf } from './notes.ts';
import { toPaymentError } from './payment-error.ts';

const OUTCOMES = namesOf(PaymentStatus, 'PAYMENT_STATUS_');
const DECLINE_CODES = namesOf(PaymentErrorCode, 'PAYMENT_ERROR_CODE_');

export function authorizePayment(
  payments: Pick<Payments, 'authorize'>,
): Rpc<AuthorizePaymentRequest, AuthorizePaymentResponse> {
  return {
    request: AuthorizePaymentRequest,
    scope: 'payments.authorize',
    async handle(request, call) {
      checkAuthorizePayment(request);
      requireAccount(call.caller, request.payerAccountId);
      const { name: caller, scopes } = call.caller;
      const command = {
        ...request,
        ...notesOf(request),
        kind: 'PAYMENT',
        caller,
        mayPayFromExternal: scopes.has('accounts.admin'),
        traceparent: call.traceparent(),
      } as const;
      return toResponse(await payments.authorize(command, () => call.abandoned(), call.deadlineMs()));
    },
    summary: ({ status, error, paymentId }) => ({
      outcome: OUTCOMES[status],
      declineCode: error && DECLINE_CODES[error.code],
      paymentId: paymentId || undefined,
    }),
  };
}

function toResponse(result: AuthorizeResult): AuthorizePaymentResponse {
  if (result.kind === 'NOT_STORED') {
    return {
      paymentId: '',
      status: PaymentStatus.PAYMENT_STATUS_DECLINED,
      error: toPaymentError(result.decline, result.retryAfterMs),
      processedAt: result.at.toISOString(),
      originalStatus: PaymentStatus.PAYMENT_STATUS_UNSPECIFIED,
    };
  }
  const { kind, action } = result;
  const { paymentId, verdict, createdAt } = action;
  const decided = PaymentStatus[`PAYMENT_STATUS_${verdict.status}`];
  const duplicate = kind === 'DUPLICATE';
  return {
    paymentId,
    status: duplicate ? PaymentStatus.PAYMENT_STATUS_DUPLICATE : decided,
    error: verdict.status === 'DECLINED' ? toPaymentError(verdict.decline) : undefined,
    processedAt: createdAt.toISOString(),
    originalStatus: duplicate ? decided : PaymentStatus.PAYMENT_STATUS_UNSPECIFIED,
  };
}

/** The names of an enum of the proto by their numbers, without what they all begin with. */
function namesOf(values: Readonly<Record<string, number>>, prefix: string): Readonly<Record<number, string>> {
  return Object.fromEntries(Object.entries(values).map(([name, number]) => [number, name.slice(prefix.length)]));
}
