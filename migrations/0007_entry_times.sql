-- When the account's last ledger entry was made. A transaction takes its time after it has
-- locked the balances, by the clock of Postgres, and not before this: so along an
-- account's versions times never fall, and what it held at a time is found by bisection.
--
-- Null where only older versions of the service have written: they took the time of
-- their own clock before they waited for the lock, so their entries can be out of order
-- by as much as clocks differed and locks were waited for.
alter table account_balances add column last_entry_at timestamptz;

-- The version of the account's last entry that was made at the moment or before it, of
-- those up to last_version; 0 if there is none. Some twenty look-ups in the primary key
-- for a million entries; planned while the ledger is small, each would scan it.
create function version_at(account text, moment timestamptz, last_version bigint) returns bigint
language plpgsql stable
set search_path = pg_catalog, public, pg_temp set enable_seqscan = off as $$
declare
  low bigint := 0;
  high bigint := last_version;
  middle bigint;
begin
  while low < high loop
    middle := low + (high - low + 1) / 2;
    if (select created_at <= moment from public.ledger_entries where account_id = account and version = middle) then
      low := middle;
    else
      high := middle - 1;
    end if;
  end loop;
  return low;
end $$;
