import type { Accounts } from '../../app/payment-service.ts';
import { GetAccountRequest, type GetAccountResponse } from '../../gen/payment/v1/account.ts';
import type { Rpc } from '../rpc.ts';
import { checkGetAccount } from '../validation.ts';
import { toAccountMessage } from './account-message.ts';

export function getAccount(accounts: Pick<Accounts, 'find'>): Rpc<GetAccountRequest, GetAccountResponse> {
  return {
    request: GetAccountRequest,
    async handle(request, call) {
      checkGetAccount(request);
      return { account: toAccountMessage(await accounts.find(request.accountId, () => call.abandoned())) };
    },
  };
}
