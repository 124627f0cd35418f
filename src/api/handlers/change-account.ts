import type { AccountChanges } from '../../app/account-changes.ts';
import type { AccountRequest } from '../../app/domain/account-change.ts';
import type { Account } from '../../gen/payment/v1/account.ts';
import { requireAccount } from '../access/accounts.ts';
import type { CallSummary } from '../call-log.ts';
import type { Call } from '../rpc.ts';
import { toAccountMessage } from './account-message.ts';

/** Makes the change for the caller, if it may act for the account, and answers the account as it is then. */
export async function changeAccount(
  accounts: Pick<AccountChanges, 'change'>,
  accountId: string,
  request: AccountRequest,
  reason: string,
  call: Call,
): Promise<{ account: Account }> {
  requireAccount(call.caller, accountId);
  const context = { accountId, caller: call.caller.name, reason, traceparent: call.traceparent() };
  const { account } = await accounts.change(request, context, () => call.abandoned());
  return { account: toAccountMessage(account) };
}

export function accountSummary({ account }: { readonly account?: Account | undefined }): CallSummary {
  return { accountId: account?.accountId };
}
