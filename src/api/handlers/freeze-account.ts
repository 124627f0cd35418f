import type { AccountChanges } from '../../app/account-changes.ts';
import { FreezeAccountRequest, type FreezeAccountResponse } from '../../gen/payment/v1/account.ts';
import { checkAccountChange } from '../account-validation.ts';
import type { Rpc } from '../rpc.ts';
import { accountSummary, changeAccount } from './change-account.ts';

export function freezeAccount(
  accounts: Pick<AccountChanges, 'change'>,
): Rpc<FreezeAccountRequest, FreezeAccountResponse> {
  return {
    request: FreezeAccountRequest,
    scope: 'accounts.admin',
    async handle(request, call) {
      checkAccountChange(request);
      const { accountId, debits, credits, reason, etag } = request;
      const both = !debits && !credits;
      const change = { kind: 'FROZEN', etag, debits: debits || both, credits: credits || both } as const;
      return changeAccount(accounts, accountId, change, reason, call);
    },
    summary: accountSummary,
  };
}
