import type { Account } from './account.ts';
import type { AccountChange, AccountChangeKind } from './account-change.ts';
import type { JsonObject } from './event.ts';

/** What the world is told of a change of an account: one event for each, with the change's id. */
export interface AccountEvent {
  /** The change's id, and so the CloudEvents id (ce_id). */
  readonly eventId: string;
  readonly type: AccountEventType;
  /** The Kafka key: in order with the payments that the account makes. */
  readonly accountId: string;
  readonly createdAt: Date;
  /** AccountChanged of events.proto in protobuf-JSON form. */
  readonly payload: JsonObject;
}

export type AccountEventType = `account.${Lowercase<AccountChangeKind>}.v1`;

export function accountChanged({ changeId, kind, account, reason }: AccountChange): AccountEvent {
  const { accountId, revision, currency, type, overdraftLimitCents, debitsFrozen, creditsFrozen, metadata } = account;
  return {
    eventId: changeId,
    type: `account.${kind.toLowerCase() as Lowercase<AccountChangeKind>}.v1`,
    accountId,
    createdAt: account.changedAt,
    // Protobuf-JSON leaves default values out: see event.ts.
    payload: {
      changeId,
      accountId,
      revision: revision.toString(),
      currency,
      type: `ACCOUNT_TYPE_${type}`,
      overdraftLimitCents: overdraftLimitCents ? overdraftLimitCents.toString() : undefined,
      state: `STATE_${stateOf(account)}`,
      debitsFrozen: debitsFrozen || undefined,
      creditsFrozen: creditsFrozen || undefined,
      metadata,
      reason: reason === '' ? undefined : reason,
      changedAt: account.changedAt.toISOString(),
    },
  };
}

/** A closed account may be frozen besides. */
export function stateOf({
  debitsFrozen,
  creditsFrozen,
  closed,
}: Pick<Account, 'debitsFrozen' | 'creditsFrozen' | 'closed'>) {
  if (closed) return 'CLOSED';
  return debitsFrozen || creditsFrozen ? 'FROZEN' : 'ACTIVE';
}
