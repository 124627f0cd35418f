import type { LaterActions } from '../../app/later-actions.ts';
import { CapturePaymentRequest, type CapturePaymentResponse } from '../../gen/payment/v1/payment.ts';
import { checkLaterAction } from '../hold-validation.ts';
import type { Rpc } from '../rpc.ts';
import { summaryOf, toActionResponse } from './action-message.ts';
import { asked } from './asked.ts';
import { notesOf } from './notes.ts';

export function capturePayment(
  actions: Pick<LaterActions, 'capture'>,
): Rpc<CapturePaymentRequest, CapturePaymentResponse> {
  return {
    request: CapturePaymentRequest,
    scope: 'payments.authorize',
    async handle(request, call) {
      checkLaterAction(request);
      const { name: caller, scopes } = call.caller;
      const { idempotencyKey, amountCents, keepRemainder } = request;
      const command = {
        kind: 'CAPTURE',
        idempotencyKey,
        requestedCents: amountCents,
        keepRemainder,
        ...notesOf(request),
        caller,
        mayPayFromExternal: scopes.has('accounts.admin'),
        traceparent: call.traceparent(),
      } as const;
      const result = await actions.capture(command, asked(request, call));
      return toActionResponse(result, { ...command, amountCents: amountCents ?? 0n });
    },
    summary: summaryOf,
  };
}
