-- Accounts and their balances.
--
-- What an account was opened as never changes; what it holds changes with every
-- payment. They are two tables so that the row every payment locks and rewrites
-- stays narrow.

create type account_type as enum ('CUSTOMER', 'EXTERNAL');

create table accounts (
  account_id            text         primary key check (char_length(account_id) between 1 and 64),
  currency              text         not null check (currency ~ '^[A-Z]{3}$'),
  type                  account_type not null,
  -- How far below zero the balance may go, in minor units; null is without limit.
  overdraft_limit_cents bigint       check (overdraft_limit_cents >= 0),
  opened_at             timestamptz  not null,

  -- The world outside has no limit, a customer always has one.
  constraint only_external_is_unlimited check ((type = 'EXTERNAL') = (overdraft_limit_cents is null))
);

create table account_balances (
  account_id            text   primary key references accounts,
  -- Copied from accounts by the trigger below, so that deciding a payment reads this row alone.
  currency              text   not null,
  overdraft_limit_cents bigint,
  available_cents       bigint not null default 0,
  -- On hold, not yet posted. A payment posts when it is authorized, so nothing is on hold today.
  pending_cents         bigint not null default 0 check (pending_cents = 0),
  -- The version of the account's last ledger entry; 0 before the first.
  version               bigint not null default 0 check (version >= 0),

  constraint no_overdraft_beyond_limit check (available_cents >= -overdraft_limit_cents)
)
-- Balances are rewritten all the time and no index covers what changes: with room
-- on the page the new row goes beside the old one (a HOT update) and indexes are
-- left alone. Vacuum early, for the same reason.
with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- A balance has the terms of its account, whatever an insert or update says. Payments
-- do not name these columns, so the trigger does not run for them.
-- Every function here qualifies its tables and puts pg_temp last: unless the path names
-- it, Postgres looks there first, and a temporary table would stand in for the books.
create function copy_account_terms() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
begin
  select currency, overdraft_limit_cents into new.currency, new.overdraft_limit_cents
  from public.accounts where account_id = new.account_id;
  return new;
end $$;

create trigger copy_account_terms
  before insert or update of account_id, currency, overdraft_limit_cents on account_balances
  for each row execute function copy_account_terms();

-- What is in the books stays there.
create function reject_change() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
begin
  raise exception '% is append-only: % is rejected', tg_table_name, tg_op
    using errcode = 'integrity_constraint_violation', constraint = tg_table_name || '_append_only';
end $$;

create trigger append_only
  before update or delete or truncate on accounts
  for each statement execute function reject_change();

-- A balance changes with every payment, but it does not go.
create trigger append_only
  before delete or truncate on account_balances
  for each statement execute function reject_change();
