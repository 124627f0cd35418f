import type { RecordedChange } from '../../../app/account-changes.ts';
import { accountChanged } from '../../../app/domain/account-event.ts';
import { shardOf } from '../../../app/domain/shard.ts';
import { ulidToUuid } from '../../../app/ulid.ts';

// A change and its event, as both statements that write them take them: parameters of one
// row, by number, in the order of changeValues.

/** $3 is the currency, which only an opening stores. */
export const CHANGE_COLUMNS = {
  names: `change_id, account_id, kind, overdraft_limit_cents, revision, debits_frozen, credits_frozen, metadata, reason,
    caller, created_at`,
  values: `$1::uuid, $2::text, $4::account_change_kind, $5::bigint, $6::bigint, $7::boolean, $8::boolean, $9::jsonb,
    $10::text, $12::text, $11::timestamptz`,
} as const;

export const EVENT_COLUMNS = {
  names: 'id, aggregateid, created_at, shard, aggregatetype, type, payload, headers',
  values: `$1::uuid, $2::text, $11::timestamptz, $13::smallint, 'account', $14::text, $15::jsonb, $16::jsonb`,
} as const;

/** The first number after those. */
export const FIRST_FREE = 17;

/** Texts and nulls only: whoever commits right behind must not be told later that pg could not send one. */
export function changeValues({ change, traceparent }: RecordedChange, shards: number): (string | null)[] {
  const { account, changeId, kind, reason, caller } = change;
  const event = accountChanged(change);
  return [
    ulidToUuid(changeId),
    account.accountId,
    account.currency,
    kind,
    account.overdraftLimitCents?.toString() ?? null,
    account.revision.toString(),
    account.debitsFrozen.toString(),
    account.creditsFrozen.toString(),
    account.metadata === undefined ? null : JSON.stringify(account.metadata),
    reason,
    account.changedAt.toISOString(),
    caller,
    shardOf(account.accountId, shards).toString(),
    event.type,
    JSON.stringify(event.payload),
    JSON.stringify({ traceparent }),
  ];
}
