import type { LaterActions } from '../../app/later-actions.ts';
import { RefundPaymentRequest, type RefundPaymentResponse } from '../../gen/payment/v1/payment.ts';
import { checkLaterAction } from '../hold-validation.ts';
import type { Rpc } from '../rpc.ts';
import { summaryOf, toActionResponse } from './action-message.ts';
import { asked } from './asked.ts';
import { notesOf } from './notes.ts';

export function refundPayment(actions: Pick<LaterActions, 'refund'>): Rpc<RefundPaymentRequest, RefundPaymentResponse> {
  return {
    request: RefundPaymentRequest,
    scope: 'payments.authorize',
    async handle(request, call) {
      checkLaterAction(request);
      const { name: caller, scopes } = call.caller;
      const { idempotencyKey, amountCents } = request;
      const command = {
        kind: 'REFUND',
        idempotencyKey,
        requestedCents: amountCents,
        ...notesOf(request),
        caller,
        mayPayFromExternal: scopes.has('accounts.admin'),
        traceparent: call.traceparent(),
      } as const;
      const result = await actions.refund(command, asked(request, call, 'payeeAccountId'));
      return toActionResponse(result, { ...command, amountCents: amountCents ?? 0n });
    },
    summary: summaryOf,
  };
}
