import type { AccountChanges } from '../../app/account-changes.ts';
import { UpdateAccountRequest, type UpdateAccountResponse } from '../../gen/payment/v1/account.ts';
import { checkUpdateAccount } from '../account-validation.ts';
import type { Rpc } from '../rpc.ts';
import { accountSummary, changeAccount } from './change-account.ts';

export function updateAccount(
  accounts: Pick<AccountChanges, 'change'>,
): Rpc<UpdateAccountRequest, UpdateAccountResponse> {
  return {
    request: UpdateAccountRequest,
    scope: 'accounts.admin',
    async handle(request, call) {
      const { accountId, etag, overdraftLimitCents, metadata } = checkUpdateAccount(request);
      const change = { kind: 'UPDATED', etag, overdraftLimitCents, metadata } as const;
      return changeAccount(accounts, accountId, change, request.reason, call);
    },
    summary: accountSummary,
  };
}
