-- What is on hold, and what became of it.
--
-- Every step of a payment (the payment itself, a hold, a capture, a void, an expiry, a
-- refund, and a decline of any of them) is a row of payments, with an id, a key and an
-- event of its own, and never changes. What changes is here. A payment that is
-- authorized at once has no row here until it is refunded.

create type payment_kind as enum ('PAYMENT', 'HOLD', 'CAPTURE', 'VOID', 'EXPIRY', 'REFUND');

-- HOLD sets the payer's money aside, RELEASE gives it back: both leave what is posted as it is.
alter type entry_direction add value 'HOLD';
alter type entry_direction add value 'RELEASE';

create table payment_balances (
  payment_id       uuid        primary key,
  payer_account_id text        not null,
  payee_account_id text        not null,
  amount_cents     bigint      not null check (amount_cents > 0),
  held_cents       bigint      not null check (held_cents >= 0),
  captured_cents   bigint      not null check (captured_cents >= 0),
  released_cents   bigint      not null check (released_cents >= 0),
  refunded_cents   bigint      not null check (refunded_cents >= 0),
  -- Captures and refunds so far.
  actions          smallint    not null check (actions between 0 and 100),
  -- Null if the payment was never held.
  expires_at       timestamptz,
  open             boolean     not null generated always as (held_cents > 0) stored,
  -- Of the last action that changed the row.
  updated_at       timestamptz not null,

  -- In numeric, as the sum could leave the range of int64.
  constraint amount_is_held_captured_or_released
    check (held_cents::numeric + captured_cents + released_cents = amount_cents),
  constraint refunds_are_of_what_was_captured check (refunded_cents <= captured_cents),
  constraint only_holds_expire check (expires_at is not null or (held_cents = 0 and released_cents = 0))
)
-- A capture that keeps the remainder changes no column of an index: the new row goes
-- beside the old one.
with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- The holds that expire next, in an order in which they can be gone through from any of them.
create index payment_balances_due on payment_balances (expires_at, payment_id) where open;

-- What is on hold of an account's money, and for it: proof of what account_balances says.
-- With the payment, so that the holds of an account can be summed in parts, however many.
create index payment_balances_open_by_payer on payment_balances (payer_account_id, payment_id) where open;
create index payment_balances_open_by_payee on payment_balances (payee_account_id, payment_id) where open;

-- What was captured, released or refunded stays so; what is no longer held never is again;
-- and a row is of one payment from its first to its last day.
create function reject_reversal() returns trigger language plpgsql
set search_path = pg_catalog, public, pg_temp as $$
begin
  raise exception 'payment % may not go back: % is rejected', new.payment_id, tg_op
    using errcode = 'integrity_constraint_violation', constraint = tg_name;
end $$;

create trigger payments_go_forward
  before update on payment_balances
  for each row when (
    new.held_cents > old.held_cents or new.captured_cents < old.captured_cents
    or new.released_cents < old.released_cents or new.refunded_cents < old.refunded_cents
    or new.actions < old.actions or new.updated_at < old.updated_at
    or (new.payment_id, new.payer_account_id, new.payee_account_id, new.amount_cents)
      is distinct from (old.payment_id, old.payer_account_id, old.payee_account_id, old.amount_cents)
    or new.expires_at is distinct from old.expires_at
  ) execute function reject_reversal();

-- A hold begins with all of it on hold, a payment with all of it captured; nothing is refunded yet.
create trigger payments_begin_whole
  before insert on payment_balances
  for each row when (
    new.refunded_cents <> 0 or new.released_cents <> 0 or new.actions <> 0
    or (new.expires_at is null) <> (new.held_cents = 0)
    or new.amount_cents not in (new.held_cents, new.captured_cents)
  ) execute function reject_reversal();

create trigger append_only
  before delete or truncate on payment_balances
  for each statement execute function reject_change();
