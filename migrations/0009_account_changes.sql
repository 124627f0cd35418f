-- Accounts that change: their overdraft limit, the caller's notes on them, freezing and closing.
--
-- What an account was opened as stays in accounts. Each change is a row of its own here
-- and is never altered: the last one says what holds now, and all of them who did what,
-- when and why. The row of account_balances, which every payment locks, has a copy of
-- what a payment needs to know.

create type account_change_kind as enum ('OPENED', 'UPDATED', 'FROZEN', 'UNFROZEN', 'CLOSED');

create table account_changes (
  -- A ULID, and the id of the change's event.
  change_id             uuid                primary key,
  account_id            text                not null references accounts,
  -- 1 is the opening, which accounts opened before this table was made do not have.
  revision              bigint              not null check (revision > 0),
  kind                  account_change_kind not null,
  -- From here to metadata: what holds after the change, whether it was changed or not.
  overdraft_limit_cents bigint              check (overdraft_limit_cents >= 0),
  debits_frozen         boolean             not null,
  credits_frozen        boolean             not null,
  metadata              jsonb,
  reason                text                not null check (char_length(reason) <= 1000),
  -- The authenticated identity, empty while calls are not authenticated.
  caller                text                not null,
  created_at            timestamptz         not null,

  unique (account_id, revision),
  constraint the_opening_is_the_first check ((revision = 1) = (kind = 'OPENED'))
);

create trigger append_only
  before update or delete or truncate on account_changes
  for each statement execute function reject_change();

-- A change follows from the one before and touches only what its kind says. It locks the
-- balance first, as payments do, so that changes of an account come one after the other.
create function check_account_change() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
declare
  before record;
  problem text;
begin
  perform from public.account_balances where account_id = new.account_id for no key update;

  select revision, kind, overdraft_limit_cents, debits_frozen, credits_frozen, metadata, created_at into before
  from public.account_changes where account_id = new.account_id
  order by revision desc limit 1;
  if not found then
    select case new.kind when 'OPENED' then 0 else 1 end::bigint as revision, 'OPENED'::public.account_change_kind as kind,
      overdraft_limit_cents, false as debits_frozen, false as credits_frozen, null::jsonb as metadata,
      opened_at as created_at
    into before
    from public.accounts where account_id = new.account_id;
  end if;

  problem := case
    when before.kind = 'CLOSED' then 'closed_is_final'
    when new.revision is distinct from before.revision + 1 then 'account_changes_form_a_chain'
    -- The service's times have milliseconds.
    when new.created_at < date_trunc('milliseconds', before.created_at) then 'account_changes_are_in_order'
    when (new.overdraft_limit_cents is null) <> (before.overdraft_limit_cents is null) then 'only_external_is_unlimited'
    when new.kind <> 'UPDATED' and (new.overdraft_limit_cents, new.metadata)
      is distinct from (before.overdraft_limit_cents, before.metadata) then 'only_an_update_changes_terms'
    when new.kind <> 'FROZEN' and (new.debits_frozen > before.debits_frozen or new.credits_frozen > before.credits_frozen)
      then 'only_a_freeze_freezes'
    when new.kind <> 'UNFROZEN' and (new.debits_frozen < before.debits_frozen or new.credits_frozen < before.credits_frozen)
      then 'only_an_unfreeze_unfreezes'
  end;
  if problem is not null then
    raise exception 'change % of account % is rejected: %', new.revision, new.account_id, problem
      using errcode = 'integrity_constraint_violation', constraint = problem;
  end if;
  return new;
end $$;

create trigger check_account_change
  before insert on account_changes
  for each row execute function check_account_change();

-- As the owner of the tables: nobody else may change a balance's terms, so they follow from a change or not at all.
create function apply_account_change() returns trigger language plpgsql security definer
set search_path = pg_catalog, public, pg_temp as $$
begin
  -- The values are put there by copy_account_terms.
  update public.account_balances set flags = flags where account_id = new.account_id;
  return null;
end $$;

create trigger apply_account_change
  after insert on account_changes
  for each row when (new.kind <> 'OPENED') execute function apply_account_change();

-- 1: debits are frozen, 2: credits are frozen, 4: closed; their sum. One narrow column,
-- because every payment reads it.
alter table account_balances add column flags smallint not null default 0;

-- Without a look at the rows that are there, of which none is closed: 0010 does it.
alter table account_balances
  add constraint closed_holds_nothing check (flags & 4 = 0 or (available_cents = 0 and pending_cents = 0)) not valid;

-- A balance has the terms of its account as the last change left them, whatever an
-- insert or update says. Payments do not name these columns.
create or replace function copy_account_terms() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
declare
  last record;
begin
  select currency, overdraft_limit_cents, 0 into new.currency, new.overdraft_limit_cents, new.flags
  from public.accounts where account_id = new.account_id;

  select overdraft_limit_cents,
    debits_frozen::int + 2 * credits_frozen::int + 4 * (kind = 'CLOSED')::int as flags into last
  from public.account_changes where account_id = new.account_id
  order by revision desc limit 1;
  if found then
    new.overdraft_limit_cents := last.overdraft_limit_cents;
    new.flags := last.flags;
  end if;
  return new;
end $$;

create or replace trigger copy_account_terms
  before insert or update of account_id, currency, overdraft_limit_cents, flags on account_balances
  for each row execute function copy_account_terms();

-- No ledger entry in a direction that is frozen, none at all once an account is closed.
-- The service declines such payments; this is for processes that do not know of flags,
-- such as replicas of the version before during an upgrade. Payments between accounts
-- without flags pay one comparison for it.
create function reject_frozen_entries() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp set enable_seqscan = off as $$
declare
  culprit record;
begin
  select version, direction into culprit
  from public.ledger_entries
  where account_id = new.account_id and version > old.version and version <= new.version
    and old.flags & (case direction when 'DEBIT' then 1 else 2 end | 4) <> 0
  limit 1;
  if found then
    raise exception 'account % is %: its ledger entry %, a %, is rejected', new.account_id,
      case when old.flags & 4 <> 0 then 'closed' else 'frozen' end, culprit.version, culprit.direction
      using errcode = 'integrity_constraint_violation', constraint = 'no_entry_while_frozen_or_closed';
  end if;
  return null;
end $$;

-- At the end of the statement, so that it sees the entries which the statement adds.
create trigger reject_frozen_entries
  after update on account_balances
  for each row when (old.flags <> 0 and new.version <> old.version) execute function reject_frozen_entries();
