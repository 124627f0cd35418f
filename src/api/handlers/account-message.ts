import type { Account } from '../../app/domain/account.ts';
import { AccountType, type Account as ProtoAccount } from '../../gen/payment/v1/account.ts';

export function toAccountMessage({ accountId, currency, type, overdraftLimitCents, openedAt }: Account): ProtoAccount {
  return {
    accountId,
    currency,
    type: AccountType[`ACCOUNT_TYPE_${type}`],
    // An EXTERNAL account has no limit, which the proto, having no null, writes as 0.
    overdraftLimitCents: overdraftLimitCents ?? 0n,
    openedAt: openedAt.toISOString(),
  };
}
