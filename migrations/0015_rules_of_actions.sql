-- The rules of 0012 and 0013 at less cost. Postgres parses a table's CHECKs and the conditions
-- of its triggers anew for each statement, so every word of them costs each payment; the
-- text of a function it parses once for each connection. So what concerns few rows goes
-- into functions behind conditions that are short. 0016 has those of the other tables.

-- What each kind of action has and has not. A payment that was
-- authorized at once, and is whole by the condition of the trigger, does not come here.
create function check_action() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
declare
  problem text;
begin
  problem := case
    -- 0 is what a void or an expiry moves, and what a decline was asked that asked for all.
    when new.amount_cents < 0 or new.amount_cents = 0
        and new.kind not in ('VOID', 'EXPIRY')
        and not (new.kind in ('CAPTURE', 'REFUND') and new.status = 'DECLINED')
      then 'amount_fits_kind'
    -- Holds, voids and expiries have an entry of the payer's only.
    when not case new.status
        when 'AUTHORIZED' then new.payer_version is not null and new.decline_code is null and new.decline_message is null
          and (new.payee_version is null) = (new.kind in ('HOLD', 'VOID', 'EXPIRY'))
        else new.payer_version is null and new.payee_version is null
          and new.decline_code is not null and new.decline_message is not null
      end
      then 'authorized_has_entries_declined_has_reason'
    when not case new.kind
        when 'PAYMENT' then num_nonnulls(new.parent_id, new.released_cents, new.expires_at, new.requested_cents, new.keep_remainder) = 0
        when 'HOLD' then new.expires_at is not null and new.expires_at > new.created_at
          and num_nonnulls(new.parent_id, new.released_cents, new.requested_cents, new.keep_remainder) = 0
        else new.parent_id is not null and new.expires_at is null
          and (new.released_cents is null) = (new.status = 'DECLINED' or new.kind = 'REFUND')
          and (new.released_cents is null or new.released_cents >= case new.kind when 'CAPTURE' then 0 else 1 end)
          and (new.requested_cents is null or (new.requested_cents > 0 and new.kind in ('CAPTURE', 'REFUND')))
          and (new.keep_remainder is null) = (new.kind <> 'CAPTURE')
          and not (new.kind = 'EXPIRY' and new.status = 'DECLINED')
      end
      then 'columns_fit_kind'
    -- is not true: what is null is no.
    when case
        when new.batch_id is null then num_nonnulls(new.batch_item, new.batch_actions, new.request_digest) = 0
        when new.kind = 'EXPIRY' then false
        when new.batch_id <> new.payment_id then new.status = 'AUTHORIZED' and new.batch_item between 1 and 99
          and num_nonnulls(new.batch_actions, new.request_digest) = 0
        when new.status = 'AUTHORIZED' then new.batch_item = 0 and new.request_digest is not null
          and cardinality(new.batch_actions) between 1 and 100 and new.batch_actions[1] = new.payment_id
        else new.batch_item between 0 and 99 and new.request_digest is not null and new.batch_actions is null
      end is not true
      then 'columns_fit_batch'
  end;
  if problem is not null then
    raise exception 'new row % for relation "payments" violates check constraint "%"', new.payment_id, problem
      using errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name, constraint = problem;
  end if;
  return new;
end $$;

-- What was on hold before a freeze may be captured, released or expire: the entries of a
-- capture have released_cents. A hold is a debit of what can be spent. A closed account has nothing.
create function check_flags() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp set enable_seqscan = off as $$
declare
  culprit record;
begin
  select version, direction into culprit
  from public.ledger_entries
  where account_id = new.account_id and version > old.version and version <= new.version
    and new.flags & (4 | case
      when released_cents is not null or direction = 'RELEASE' then 0
      when direction in ('DEBIT', 'HOLD') then 1
      else 2
    end) <> 0
  limit 1;
  if found then
    raise exception 'account % is %: its ledger entry %, a %, is rejected', new.account_id,
      case when new.flags & 4 <> 0 then 'closed' else 'frozen' end, culprit.version, culprit.direction
      using errcode = 'integrity_constraint_violation', constraint = 'no_entry_while_frozen_or_closed';
  end if;
  if new.flags & 4 <> 0 and (new.available_cents, new.pending_cents, new.incoming_cents) <> (0, 0, 0) then
    raise exception 'closed account % violates check constraint "closed_holds_nothing"', new.account_id
      using errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name, constraint = 'closed_holds_nothing';
  end if;
  return null;
end $$;

-- The rules of the ledger, as in 0013; checked once for each insert statement. The look-up
-- of the entry before stands behind a limit, so that Postgres can only do it entry by entry:
-- planned while the ledger is small, a join would read it whole, and go on to do so.
create or replace function check_ledger_entries() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp set enable_seqscan = off as $$
declare
  culprit record;
begin
  select payment_id into culprit
  from new_entries
  group by payment_id
  having sum(case direction when 'DEBIT' then -amount_cents when 'CREDIT' then amount_cents else 0 end) <> 0
  limit 1;
  if found then
    raise exception 'the ledger entries of payment % do not sum to zero', culprit.payment_id
      using errcode = 'integrity_constraint_violation', constraint = 'entries_sum_to_zero';
  end if;

  select entry.account_id, entry.version into culprit
  from new_entries entry
  left join lateral (
    select balance_after_cents, pending_after_cents, created_at
    from public.ledger_entries
    where account_id = entry.account_id and version = entry.version - 1
    limit 1
  ) previous on true
  where entry.balance_after_cents is distinct from
      case entry.version when 1 then 0 else previous.balance_after_cents end
      + case entry.direction when 'DEBIT' then -entry.amount_cents when 'CREDIT' then entry.amount_cents else 0 end
    or coalesce(entry.pending_after_cents, 0) <> coalesce(previous.pending_after_cents, 0)
      + case entry.direction
          when 'HOLD' then entry.amount_cents
          when 'RELEASE' then -entry.amount_cents
          when 'DEBIT' then -coalesce(entry.amount_cents + entry.released_cents, 0)
          else 0
        end
    -- Replicas of the version before are not held to the order of time, which theirs before that did not keep.
    or (entry.created_at < previous.created_at
      and coalesce(current_setting('payment_ledger.transaction', true), '') <> 'open')
  limit 1;
  if found then
    raise exception 'ledger entry % of account % does not follow from the one before', culprit.version, culprit.account_id
      using errcode = 'integrity_constraint_violation', constraint = 'entries_form_a_chain';
  end if;

  return null;
end $$;

-- Entries that are not of a plain payment. Only captures release. Replicas of the version before
-- do not name pending_after_cents, and get its default: what is on
-- hold is added to what they take for the balance; see 0013.
create function check_entry() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
declare
  balance record;
begin
  if new.released_cents < 0 or (new.released_cents > 0 and new.direction <> 'DEBIT') then
    raise exception 'new row for relation "ledger_entries" violates check constraint "only_captures_release"'
      using errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name, constraint = 'only_captures_release';
  end if;
  if new.pending_after_cents = -1 then
    select pending_cents, last_entry_at into balance from public.account_balances where account_id = new.account_id;
    new.balance_after_cents := new.balance_after_cents + coalesce(balance.pending_cents, 0);
    new.pending_after_cents := nullif(balance.pending_cents, 0);
    -- Whole milliseconds, as times of the service have no more.
    new.created_at := least(new.created_at, greatest(date_trunc('milliseconds', clock_timestamp()), balance.last_entry_at));
  end if;
  return new;
end $$;

-- These go together, as an entry is completed once. The default costs a plain payment a
-- comparison of numbers, the setting had to be looked up for each entry.
alter table ledger_entries
  alter column pending_after_cents set default -1,
  drop constraint only_captures_release;
drop trigger complete_entry_of_version_before on ledger_entries;
drop function complete_entry_of_version_before();
create trigger check_entry
  before insert on ledger_entries
  for each row when (new.pending_after_cents = -1 or new.released_cents is not null)
  execute function check_entry();
