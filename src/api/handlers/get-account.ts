import type { Accounts } from '../../app/payment-service.ts';
import { GetAccountRequest, type GetAccountResponse } from '../../gen/payment/v1/account.ts';
import { requireAccount } from '../access/accounts.ts';
import type { Rpc } from '../rpc.ts';
import { checkGetAccount } from '../validation.ts';
import { toAccountMessage } from './account-message.ts';

export function getAccount(accounts: Pick<Accounts, 'find'>): Rpc<GetAccountRequest, GetAccountResponse> {
  return {
    request: GetAccountRequest,
    scope: 'payments.read',
    async handle(request, call) {
      checkGetAccount(request);
      requireAccount(call.caller, request.accountId);
      return { account: toAccountMessage(await accounts.find(request.accountId, () => call.abandoned())) };
    },
  };
}
