import type { AccountChanges } from '../../app/account-changes.ts';
import { CloseAccountRequest, type CloseAccountResponse } from '../../gen/payment/v1/account.ts';
import { checkAccountChange } from '../account-validation.ts';
import type { Rpc } from '../rpc.ts';
import { accountSummary, changeAccount } from './change-account.ts';

export function closeAccount(accounts: Pick<AccountChanges, 'change'>): Rpc<CloseAccountRequest, CloseAccountResponse> {
  return {
    request: CloseAccountRequest,
    scope: 'accounts.admin',
    async handle(request, call) {
      checkAccountChange(request);
      const { accountId, reason, etag } = request;
      return changeAccount(accounts, accountId, { kind: 'CLOSED', etag }, reason, call);
    },
    summary: accountSummary,
  };
}
