import type { LaterActions } from '../../app/later-actions.ts';
import { VoidPaymentRequest, type VoidPaymentResponse } from '../../gen/payment/v1/payment.ts';
import { checkLaterAction } from '../hold-validation.ts';
import type { Rpc } from '../rpc.ts';
import { summaryOf, toActionResponse } from './action-message.ts';
import { asked } from './asked.ts';
import { notesOf } from './notes.ts';

export function voidPayment(actions: Pick<LaterActions, 'void'>): Rpc<VoidPaymentRequest, VoidPaymentResponse> {
  return {
    request: VoidPaymentRequest,
    scope: 'payments.authorize',
    async handle(request, call) {
      checkLaterAction(request);
      const command = {
        kind: 'VOID',
        idempotencyKey: request.idempotencyKey,
        ...notesOf(request),
        caller: call.caller.name,
        traceparent: call.traceparent(),
      } as const;
      return toActionResponse(await actions.void(command, asked(request, call)), { ...command, amountCents: 0n });
    },
    summary: summaryOf,
  };
}
