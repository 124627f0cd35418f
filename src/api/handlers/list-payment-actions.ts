import type { Payments } from '../../app/payment-service.ts';
import type { Reads } from '../../app/reads.ts';
import { isUlid } from '../../app/ulid.ts';
import { ListPaymentActionsRequest, type ListPaymentActionsResponse } from '../../gen/payment/v1/payment.ts';
import { checkListPaymentActions, pageSize } from '../list-validation.ts';
import { type ListedBy, pageToken, readPageToken } from '../page-token.ts';
import type { Rpc } from '../rpc.ts';
import { toActionMessage } from './action-message.ts';
import { requireOwnPayment } from './asked.ts';
import { paymentIdOf } from './payment-id.ts';

export function listPaymentActions(
  payments: Pick<Payments, 'findPayment'>,
  reads: Pick<Reads, 'actions'>,
): Rpc<ListPaymentActionsRequest, ListPaymentActionsResponse> {
  return {
    request: ListPaymentActionsRequest,
    scope: 'payments.read',
    async handle(request, call) {
      checkListPaymentActions(request);
      const paymentId = paymentIdOf(request.paymentId);
      const abandoned = () => call.abandoned();
      requireOwnPayment(call.caller, await payments.findPayment(paymentId, abandoned));
      const listedBy: ListedBy = { list: 'ListPaymentActions', filters: [paymentId] };
      const after = readPageToken(request.pageToken, listedBy, (text) => (isUlid(text) ? text : undefined));
      const page = await reads.actions(paymentId, after, pageSize(request.pageSize), abandoned);
      return { actions: page.items.map(toActionMessage), nextPageToken: pageToken(listedBy, page.next) };
    },
  };
}
