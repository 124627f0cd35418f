import type { AccountChanges } from '../../app/account-changes.ts';
import { AccountType, OpenAccountRequest, type OpenAccountResponse } from '../../gen/payment/v1/account.ts';
import { requireAccount } from '../access/accounts.ts';
import type { Rpc } from '../rpc.ts';
import { checkOpenAccount } from '../validation.ts';
import { toAccountMessage } from './account-message.ts';
import { accountSummary } from './change-account.ts';

export function openAccount(accounts: Pick<AccountChanges, 'open'>): Rpc<OpenAccountRequest, OpenAccountResponse> {
  return {
    request: OpenAccountRequest,
    scope: 'accounts.admin',
    async handle(request, call) {
      checkOpenAccount(request);
      requireAccount(call.caller, request.accountId);
      const { accountId, currency } = request;
      const external = request.type === AccountType.ACCOUNT_TYPE_EXTERNAL;
      const wanted = {
        accountId,
        currency,
        type: external ? 'EXTERNAL' : 'CUSTOMER',
        // An EXTERNAL account has no limit, which the proto, having no null, writes as 0.
        overdraftLimitCents: external ? null : request.overdraftLimitCents,
      } as const;
      const context = { caller: call.caller.name, traceparent: call.traceparent() };
      const { account } = await accounts.open(wanted, context, () => call.abandoned());
      return { account: toAccountMessage(account) };
    },
    summary: accountSummary,
  };
}
