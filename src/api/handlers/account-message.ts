import type { Account } from '../../app/domain/account.ts';
import { etagOf } from '../../app/domain/account-change.ts';
import { stateOf } from '../../app/domain/account-event.ts';
import { Account_State, AccountType, type Account as ProtoAccount } from '../../gen/payment/v1/account.ts';

export function toAccountMessage(account: Account): ProtoAccount {
  const { accountId, currency, type, overdraftLimitCents, openedAt, debitsFrozen, creditsFrozen, metadata } = account;
  return {
    accountId,
    currency,
    type: AccountType[`ACCOUNT_TYPE_${type}`],
    // An EXTERNAL account has no limit, which the proto, having no null, writes as 0.
    overdraftLimitCents: overdraftLimitCents ?? 0n,
    openedAt: openedAt.toISOString(),
    state: Account_State[`STATE_${stateOf(account)}`],
    debitsFrozen,
    creditsFrozen,
    metadata: metadata ?? {},
    etag: etagOf(account),
  };
}
