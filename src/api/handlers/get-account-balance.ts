import { postedCents } from '../../app/domain/account.ts';
import type { Accounts } from '../../app/payment-service.ts';
import { GetAccountBalanceRequest, type GetAccountBalanceResponse } from '../../gen/payment/v1/payment.ts';
import { requireAccount } from '../access/accounts.ts';
import type { Rpc } from '../rpc.ts';
import { checkGetAccountBalance } from '../validation.ts';

export function getAccountBalance(
  accounts: Pick<Accounts, 'balance'>,
): Rpc<GetAccountBalanceRequest, GetAccountBalanceResponse> {
  return {
    request: GetAccountBalanceRequest,
    scope: 'payments.read',
    async handle(request, call) {
      checkGetAccountBalance(request);
      requireAccount(call.caller, request.accountId);
      const balance = await accounts.balance(request.accountId, () => call.abandoned());
      const { accountId, availableCents, pendingCents, incomingCents, currency, version } = balance;
      return {
        accountId,
        availableBalanceCents: availableCents,
        pendingBalanceCents: pendingCents,
        postedBalanceCents: postedCents(balance),
        incomingPendingCents: incomingCents,
        currency,
        version,
      };
    },
  };
}
