-- Payments, their ledger entries and the keys that make them idempotent.
--
-- Payment ids are ULIDs, stored as the uuid of the same 16 bytes. Every index here
-- is paid for by every payment, so there are only the primary keys: a payment finds
-- its entries by (account, version).

create type payment_status as enum ('AUTHORIZED', 'DECLINED');
create type entry_direction as enum ('DEBIT', 'CREDIT');

create table payments (
  payment_id       uuid           primary key,
  payer_account_id text           not null,
  payee_account_id text           not null,
  amount_cents     bigint         not null check (amount_cents > 0),
  currency         text           not null,
  status           payment_status not null,
  description      text           not null,
  -- A PaymentErrorCode without its prefix, and the sentence the caller was given.
  decline_code     text,
  decline_message  text,
  -- The versions of the two ledger entries.
  payer_version    bigint,
  payee_version    bigint,
  created_at       timestamptz    not null,

  check (payer_account_id <> payee_account_id),
  constraint authorized_has_entries_declined_has_reason check (
    case status
      when 'AUTHORIZED' then payer_version is not null and payee_version is not null and decline_code is null and decline_message is null
      else payer_version is null and payee_version is null and decline_code is not null and decline_message is not null
    end
  )
);

-- One row for each side of a payment. DEBIT takes from an account, CREDIT gives to
-- it: an account's balance is its credits less its debits.
create table ledger_entries (
  account_id          text            not null,
  -- Counts the account's entries from 1.
  version             bigint          not null check (version > 0),
  payment_id          uuid            not null,
  direction           entry_direction not null,
  amount_cents        bigint          not null check (amount_cents > 0),
  balance_after_cents bigint          not null,
  created_at          timestamptz     not null,

  primary key (account_id, version)
);

-- One key, one payment. caller is the authenticated identity, empty while calls
-- are not authenticated.
create table idempotency_keys (
  caller     text        not null,
  key        text        not null check (char_length(key) between 1 and 255),
  payment_id uuid        not null,
  created_at timestamptz not null,

  primary key (caller, key)
);

-- The two rules of double entry, checked once for each insert statement:
-- 1. the entries of each payment sum to zero;
-- 2. each entry follows the account's previous one: the next version, and a balance
--    that differs by exactly the amount. The subquery is one look-up in the primary
--    key, and yields null, which differs from everything, where there is a gap.
-- A connection plans these queries once. Planned while the ledger is small, the second
-- would scan it for each entry, and go on to do so when it is large.
create function check_ledger_entries() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp set enable_seqscan = off as $$
declare
  culprit record;
begin
  select payment_id into culprit
  from new_entries
  group by payment_id
  having sum(case direction when 'DEBIT' then -amount_cents else amount_cents end) <> 0
  limit 1;
  if found then
    raise exception 'the ledger entries of payment % do not sum to zero', culprit.payment_id
      using errcode = 'integrity_constraint_violation', constraint = 'entries_sum_to_zero';
  end if;

  select account_id, version into culprit
  from new_entries entry
  where balance_after_cents is distinct from
    case direction when 'DEBIT' then -amount_cents else amount_cents end
    + case version
        when 1 then 0
        else (
          select previous.balance_after_cents
          from public.ledger_entries previous
          where previous.account_id = entry.account_id and previous.version = entry.version - 1
        )
      end
  limit 1;
  if found then
    raise exception 'ledger entry % of account % does not follow from the one before', culprit.version, culprit.account_id
      using errcode = 'integrity_constraint_violation', constraint = 'entries_form_a_chain';
  end if;

  return null;
end $$;

create trigger check_ledger_entries
  after insert on ledger_entries
  referencing new table as new_entries
  for each statement execute function check_ledger_entries();

-- A mistake is corrected by another payment.
create trigger append_only
  before update or delete or truncate on ledger_entries
  for each statement execute function reject_change();

create trigger append_only
  before update or delete or truncate on payments
  for each statement execute function reject_change();

-- Which of the keys, counted from 1, a transaction that has not ended is claiming: such a
-- key is not visible, so each is claimed for a moment, to see whether that has to wait.
create function kept_keys(callers text[], keys text[]) returns setof int language plpgsql
set search_path = pg_catalog, public, pg_temp set lock_timeout = '1ms' as $$
begin
  -- If somebody keeps the whole table locked this fails, and not for each key.
  lock table idempotency_keys in row exclusive mode;
  for number in 1 .. cardinality(keys) loop
    begin
      insert into idempotency_keys (caller, key, payment_id, created_at)
      values (callers[number], keys[number], gen_random_uuid(), now())
      on conflict do nothing;
      raise exception using errcode = 'LK001', message = 'the key is given back';
    exception
      when sqlstate 'LK001' then null;
      when lock_not_available then return next number;
    end;
  end loop;
end $$;

-- The last step of writing payments: every balance that was to change was there to be
-- changed. Anything else is a bug of the caller, and fails its transaction.
create function assert_balances_written(written bigint, expected int) returns void language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
begin
  if written <> expected then
    raise exception 'Bug! % balances were written, not %', written, expected
      using errcode = 'integrity_constraint_violation', constraint = 'all_balances_written';
  end if;
end $$;
