import type { Payments } from '../../app/payment-service.ts';
import { HoldPaymentRequest, type HoldPaymentResponse } from '../../gen/payment/v1/payment.ts';
import { requireAccount } from '../access/accounts.ts';
import { checkHoldPayment, ttlMs } from '../hold-validation.ts';
import type { Rpc } from '../rpc.ts';
import { summaryOf, toActionResponse } from './action-message.ts';
import { notesOf } from './notes.ts';

export function holdPayment(payments: Pick<Payments, 'hold'>): Rpc<HoldPaymentRequest, HoldPaymentResponse> {
  return {
    request: HoldPaymentRequest,
    scope: 'payments.authorize',
    async handle(request, call) {
      checkHoldPayment(request);
      requireAccount(call.caller, request.payerAccountId);
      const { name: caller, scopes } = call.caller;
      const { idempotencyKey, payerAccountId, payeeAccountId, amountCents, currency } = request;
      const command = {
        kind: 'HOLD',
        idempotencyKey,
        payerAccountId,
        payeeAccountId,
        amountCents,
        currency,
        ...notesOf(request),
        ttlMs: ttlMs(request.ttl),
        caller,
        mayPayFromExternal: scopes.has('accounts.admin'),
        traceparent: call.traceparent(),
      } as const;
      const result = await payments.hold(command, () => call.abandoned(), call.deadlineMs());
      return toActionResponse(result, command);
    },
    summary: summaryOf,
  };
}
