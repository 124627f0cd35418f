// Rules of accounts that change, for the stages of books-stages.ts: each selects the
// culprits among the rows of `page`.

/** Of accounts. */
export const CHANGE_RULES = {
  // The first is the opening, or the first change of an account that has none. Nothing follows a closing.
  ACCOUNT_CHANGES_FORM_A_CHAIN: `
    select account_id as culprit
    from page join account_changes change using (account_id)
    group by account_id
    having min(revision) > 2 or count(*) <> max(revision) - min(revision) + 1
      or min(revision) filter (where change.kind = 'CLOSED') < max(revision)`,
};

/** Of balances. */
export const TERMS_RULES = {
  BALANCE_HAS_TERMS_OF_ACCOUNT: `
    select page.account_id as culprit
    from page
    join accounts using (account_id)
    left join lateral (
      select overdraft_limit_cents, debits_frozen::int + 2 * credits_frozen::int + 4 * (kind = 'CLOSED')::int as flags
      from account_changes where account_id = page.account_id order by revision desc limit 1
    ) last on true
    where page.currency <> accounts.currency
      or page.flags <> coalesce(last.flags, 0)
      or page.overdraft_limit_cents is distinct from
        case when last.flags is null then accounts.overdraft_limit_cents else last.overdraft_limit_cents end`,
  CLOSED_HOLDS_NOTHING: `
    select account_id as culprit from page where flags & 4 <> 0 and (available_cents, pending_cents, incoming_cents) <> (0, 0, 0)`,
};

/** A uuid as the text of a ULID: 26 digits of 5 bits, the first two of them zero. */
export function ulidOf(uuid: string): string {
  return `(
  select string_agg(substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ',
    1 + substring(B'00' || ('x' || replace(${uuid}::text, '-', ''))::bit(128) from n * 5 + 1 for 5)::bit(5)::int, 1), '' order by n)
  from generate_series(0, 25) as n)`;
}

/** Of pending events. */
export const CHANGE_EVENT_RULES = {
  // Protobuf-JSON leaves out what is empty, zero or false.
  EVENT_IS_THAT_OF_ITS_CHANGE: `
    select event.id::text as culprit
    from page event
    join account_changes change on change.change_id = event.id
    join accounts account on account.account_id = change.account_id
    where event.aggregatetype <> 'account'
      or event.aggregateid <> change.account_id
      or event.type <> 'account.' || lower(change.kind::text) || '.v1'
      or event.payload - 'changedAt' is distinct from jsonb_strip_nulls(jsonb_build_object(
        'changeId', ${ulidOf('event.id')},
        'accountId', change.account_id,
        'revision', change.revision::text,
        'currency', account.currency,
        'type', 'ACCOUNT_TYPE_' || account.type,
        'overdraftLimitCents', nullif(change.overdraft_limit_cents, 0)::text,
        'state', case
          when change.kind = 'CLOSED' then 'STATE_CLOSED'
          when change.debits_frozen or change.credits_frozen then 'STATE_FROZEN'
          else 'STATE_ACTIVE'
        end,
        'debitsFrozen', nullif(change.debits_frozen, false),
        'creditsFrozen', nullif(change.credits_frozen, false),
        'metadata', change.metadata,
        'reason', nullif(change.reason, '')
      ))`,
};
