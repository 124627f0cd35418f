import { type PaymentStatus as DomainStatus, PAYMENT_STATUSES } from '../../app/domain/payment-balance.ts';
import type { PaymentCursor } from '../../app/listings.ts';
import type { Reads } from '../../app/reads.ts';
import { isUlid } from '../../app/ulid.ts';
import {
  AccountRole,
  ListPaymentsRequest,
  type ListPaymentsResponse,
  PaymentStatus,
} from '../../gen/payment/v1/payment.ts';
import { requireAccount, requireEveryAccount } from '../access/accounts.ts';
import { checkListPayments, pageSize } from '../list-validation.ts';
import { type ListedBy, pageToken, readPageToken } from '../page-token.ts';
import type { Rpc } from '../rpc.ts';
import { firstMillisecondFrom } from '../time.ts';
import { toPaymentMessage } from './payment-message.ts';

const ROLES = {
  [AccountRole.ACCOUNT_ROLE_UNSPECIFIED]: undefined,
  [AccountRole.ACCOUNT_ROLE_PAYER]: 'PAYER',
  [AccountRole.ACCOUNT_ROLE_PAYEE]: 'PAYEE',
} as const;

export function listPayments(reads: Pick<Reads, 'payments'>): Rpc<ListPaymentsRequest, ListPaymentsResponse> {
  return {
    request: ListPaymentsRequest,
    scope: 'payments.read',
    async handle(request, call) {
      checkListPayments(request);
      if (request.accountId === '') requireEveryAccount(call.caller);
      else requireAccount(call.caller, request.accountId);
      const { accountId, role, reference, batchId, createdFrom, createdBefore } = request;
      const statuses = statusesOf(request);
      const listedBy: ListedBy = {
        list: 'ListPayments',
        filters: [accountId, role, reference, createdFrom, createdBefore, ...statuses, ...(batchId ? [batchId] : [])],
      };
      const cursor = readPageToken(request.pageToken, listedBy, toCursor);
      const filter = {
        accountId: accountId || undefined,
        role: ROLES[role],
        statuses,
        reference: reference || undefined,
        batchId: batchId.toUpperCase() || undefined,
        createdFrom: firstMillisecondFrom(createdFrom),
        createdBefore: firstMillisecondFrom(createdBefore),
      };
      const page = await reads.payments(filter, cursor, pageSize(request.pageSize), () => call.abandoned());
      return {
        payments: page.items.map(toPaymentMessage),
        nextPageToken: pageToken(listedBy, page.next && toText(page.next)),
      };
    },
  };
}

/** In one order, and once each, however they were given. */
function statusesOf({ statuses }: ListPaymentsRequest): ReadonlySet<DomainStatus> {
  const wanted = PAYMENT_STATUSES.filter(
    (status) => statuses.length === 0 || statuses.includes(PaymentStatus[`PAYMENT_STATUS_${status}`]),
  );
  return new Set(wanted);
}

function toText({ versionBefore = '', paymentBefore = '' }: { [Key in keyof PaymentCursor]: PaymentCursor[Key] | '' }) {
  return `${versionBefore}.${paymentBefore}`;
}

function toCursor(text: string): PaymentCursor | undefined {
  const [version = '', payment = '', ...rest] = text.split('.');
  if (rest.length > 0 || !/^(|[1-9]\d{0,17})$/.test(version) || !(payment === '' || isUlid(payment))) return undefined;
  return {
    versionBefore: version === '' ? undefined : BigInt(version),
    paymentBefore: payment === '' ? undefined : payment,
  };
}
