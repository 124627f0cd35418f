-- The rules of the ledger with holds. Checked once for each insert statement, as before:
-- 1. the entries of each action sum to zero; what is set aside or given back moves nothing;
-- 2. each entry follows the account's previous one: the next version, what is posted and
--    what is pending differ by exactly what the entry says, and time does not go back.
create or replace function check_ledger_entries() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp
-- Planned while the ledger is small, these joins would read it whole, and go on to do so when it is large.
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  culprit record;
  -- Replicas of the version before are not held to the order of time, which theirs before that did not keep.
  times_count boolean := coalesce(current_setting('payment_ledger.transaction', true), '') <> 'open';
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
  left join public.ledger_entries previous
    on previous.account_id = entry.account_id and previous.version = entry.version - 1
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
    or (times_count and entry.created_at < previous.created_at)
  limit 1;
  if found then
    raise exception 'ledger entry % of account % does not follow from the one before', culprit.version, culprit.account_id
      using errcode = 'integrity_constraint_violation', constraint = 'entries_form_a_chain';
  end if;

  return null;
end $$;

-- What was on hold before a freeze may be captured, released or expire: the entries of a
-- capture have released_cents. A hold is a debit of what can be spent.
create or replace function reject_frozen_entries() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp set enable_seqscan = off as $$
declare
  culprit record;
begin
  select version, direction into culprit
  from public.ledger_entries
  where account_id = new.account_id and version > old.version and version <= new.version
    and old.flags & (4 | case
      when released_cents is not null or direction = 'RELEASE' then 0
      when direction in ('DEBIT', 'HOLD') then 1
      else 2
    end) <> 0
  limit 1;
  if found then
    raise exception 'account % is %: its ledger entry %, a %, is rejected', new.account_id,
      case when old.flags & 4 <> 0 then 'closed' else 'frozen' end, culprit.version, culprit.direction
      using errcode = 'integrity_constraint_violation', constraint = 'no_entry_while_frozen_or_closed';
  end if;
  return null;
end $$;

-- Replicas of the version before take available_cents for what is posted, and know of
-- nothing on hold. During an upgrade, what they write of an account with holds is made
-- whole here; the setting is how they mark their transactions. A later release drops these.
--
-- Some of them take the time of their own clock. Where that is ahead, the account's next
-- entry would come before theirs and be rejected, so here it is held to the clock of Postgres.
create function complete_entry_of_version_before() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
declare
  balance record;
begin
  select pending_cents, last_entry_at into balance from public.account_balances where account_id = new.account_id;
  if balance.pending_cents > 0 then
    new.balance_after_cents := new.balance_after_cents + balance.pending_cents;
    new.pending_after_cents := balance.pending_cents;
  end if;
  -- Whole milliseconds, as times of the service have no more.
  new.created_at := least(new.created_at, greatest(date_trunc('milliseconds', clock_timestamp()), balance.last_entry_at));
  return new;
end $$;

create trigger complete_entry_of_version_before
  before insert on ledger_entries
  for each row when (current_setting('payment_ledger.transaction', true) = 'open')
  execute function complete_entry_of_version_before();

create function complete_event_of_version_before() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
declare
  side text;
  state jsonb;
  pending bigint;
begin
  foreach side in array array['payer', 'payee'] loop
    state := new.payload -> side;
    pending := (select pending_cents from public.account_balances where account_id = new.payload ->> (side || 'AccountId'));
    if pending > 0 then
      state := state || jsonb_strip_nulls(jsonb_build_object(
        'balanceCents', (coalesce((state ->> 'balanceCents')::bigint, 0) + pending)::text, 'pendingCents', pending::text));
      -- Protobuf-JSON leaves zeros out.
      if state ->> 'balanceCents' = '0' then state := state - 'balanceCents'; end if;
      new.payload := jsonb_set(new.payload, array[side], state);
    end if;
  end loop;
  return new;
end $$;

create trigger complete_event_of_version_before
  before insert on outbox
  for each row when (
    current_setting('payment_ledger.transaction', true) = 'open' and new.type = 'payment.authorized.v1'
  ) execute function complete_event_of_version_before();
