import type { Reads } from '../../app/reads.ts';
import { AccountType, ListAccountsRequest, type ListAccountsResponse } from '../../gen/payment/v1/account.ts';
import { requireEveryAccount } from '../access/accounts.ts';
import { checkListAccounts, pageSize } from '../list-validation.ts';
import { type ListedBy, pageToken, readPageToken } from '../page-token.ts';
import type { Rpc } from '../rpc.ts';
import { toAccountMessage } from './account-message.ts';

const TYPES = {
  [AccountType.ACCOUNT_TYPE_UNSPECIFIED]: undefined,
  [AccountType.ACCOUNT_TYPE_CUSTOMER]: 'CUSTOMER',
  [AccountType.ACCOUNT_TYPE_EXTERNAL]: 'EXTERNAL',
} as const;

export function listAccounts(reads: Pick<Reads, 'accounts'>): Rpc<ListAccountsRequest, ListAccountsResponse> {
  return {
    request: ListAccountsRequest,
    scope: 'payments.read',
    async handle(request, call) {
      checkListAccounts(request);
      requireEveryAccount(call.caller);
      const { currency, type } = request;
      const listedBy: ListedBy = { list: 'ListAccounts', filters: [currency, type] };
      const after = readPageToken(request.pageToken, listedBy, (accountId) => accountId || undefined);
      const filter = { currency: currency || undefined, type: TYPES[type] };
      const page = await reads.accounts(filter, after, pageSize(request.pageSize), () => call.abandoned());
      return { accounts: page.items.map(toAccountMessage), nextPageToken: pageToken(listedBy, page.next) };
    },
  };
}
