-- Without a transaction, so that none of these statements keeps the lock of another's
-- table, and what reads whole tables lets payments go on.
--
-- Rules come "not valid" first, which looks at no row and takes no time, and are
-- validated after it. Replicas of the version before write what the rules allow: they
-- know none of the columns, whose defaults are those of a payment.

alter table payments
  add column if not exists kind payment_kind not null default 'PAYMENT',
  -- The payment that a capture, a void, an expiry or a refund is an action of.
  add column if not exists parent_id uuid,
  -- What a capture, a void or an expiry gave back to the payer's funds.
  add column if not exists released_cents bigint,
  -- When a hold's time is over.
  add column if not exists expires_at timestamptz,
  -- What a capture or a refund asked for; null is all there is.
  add column if not exists requested_cents bigint,
  -- Whether a capture asked to keep on hold what it leaves.
  add column if not exists keep_remainder boolean,
  -- The atomic batch that the action is a part of, and what identifies its request.
  add column if not exists batch_id uuid,
  add column if not exists request_digest bytea,
  drop constraint if exists payments_amount_cents_check,
  drop constraint if exists authorized_has_entries_declined_has_reason,
  drop constraint if exists amount_fits_kind,
  drop constraint if exists columns_fit_kind,
  -- 0 is what a void or an expiry moves, and what a decline was asked that asked for all.
  add constraint amount_fits_kind check (
    amount_cents > 0 or (amount_cents = 0
      and (kind in ('VOID', 'EXPIRY') or (kind in ('CAPTURE', 'REFUND') and status = 'DECLINED')))
  ) not valid,
  -- Holds, voids and expiries have an entry of the payer's only.
  add constraint authorized_has_entries_declined_has_reason check (
    case status
      when 'AUTHORIZED' then payer_version is not null and decline_code is null and decline_message is null
        and (payee_version is null) = (kind in ('HOLD', 'VOID', 'EXPIRY'))
      else payer_version is null and payee_version is null and decline_code is not null and decline_message is not null
    end
  ) not valid,
  add constraint columns_fit_kind check (
    case kind
      when 'PAYMENT' then num_nonnulls(parent_id, released_cents, expires_at, requested_cents, keep_remainder) = 0
      when 'HOLD' then expires_at is not null and expires_at > created_at
        and num_nonnulls(parent_id, released_cents, requested_cents, keep_remainder) = 0
      else parent_id is not null and expires_at is null
        and (released_cents is null) = (status = 'DECLINED' or kind = 'REFUND')
        and (released_cents is null or released_cents >= case kind when 'CAPTURE' then 0 else 1 end)
        and (requested_cents is null or (requested_cents > 0 and kind in ('CAPTURE', 'REFUND')))
        and (keep_remainder is null) = (kind <> 'CAPTURE')
        and not (kind = 'EXPIRY' and status = 'DECLINED')
    end
  ) not valid;

alter table payments validate constraint amount_fits_kind;
alter table payments validate constraint authorized_has_entries_declined_has_reason;
alter table payments validate constraint columns_fit_kind;

alter table ledger_entries
  -- On both entries of a capture: what went back to the payer's funds with it, 0 on the
  -- payee's. Null on all others.
  add column if not exists released_cents bigint,
  -- What the account has on hold for others after the entry; null is nothing.
  add column if not exists pending_after_cents bigint,
  drop constraint if exists only_captures_release,
  drop constraint if exists pending_is_not_negative,
  add constraint only_captures_release check (
    released_cents is null or released_cents = 0 or (released_cents > 0 and direction = 'DEBIT')
  ) not valid,
  add constraint pending_is_not_negative check (pending_after_cents > 0) not valid;

alter table ledger_entries validate constraint only_captures_release;
alter table ledger_entries validate constraint pending_is_not_negative;

-- available_cents is what is posted less pending_cents, so that the rule which keeps it
-- above minus the overdraft limit covers holds.
alter table account_balances
  -- What is on hold for the account, where it is the payee.
  add column if not exists incoming_cents bigint not null default 0,
  drop constraint if exists account_balances_pending_cents_check,
  drop constraint if exists pending_is_not_negative,
  drop constraint if exists incoming_is_not_negative,
  drop constraint if exists closed_holds_nothing,
  add constraint pending_is_not_negative check (pending_cents >= 0) not valid,
  add constraint incoming_is_not_negative check (incoming_cents >= 0) not valid,
  add constraint closed_holds_nothing check (
    flags & 4 = 0 or (available_cents = 0 and pending_cents = 0 and incoming_cents = 0)
  ) not valid;

alter table account_balances validate constraint pending_is_not_negative;
alter table account_balances validate constraint incoming_is_not_negative;
alter table account_balances validate constraint closed_holds_nothing;

-- The actions of a payment after the first, in the order in which they took effect: ids are
-- made by replicas, whose clocks differ. What was declined has no version, and may be any number.
drop index concurrently if exists payments_by_parent;
create index concurrently payments_by_parent
  on payments (parent_id, created_at, coalesce(payer_version, 9223372036854775807), payment_id)
  where parent_id is not null;

-- What of an account's payments its ledger does not lead to: declined ones have no
-- entry, and of holds the payee has none. The indexes of declined payments, which these
-- replace, stay for the version before.
drop index concurrently if exists payments_listed_by_payer;
create index concurrently payments_listed_by_payer on payments (payer_account_id, payment_id)
  where parent_id is null and (status = 'DECLINED' or kind = 'HOLD');

drop index concurrently if exists payments_listed_by_payee;
create index concurrently payments_listed_by_payee on payments (payee_account_id, payment_id)
  where parent_id is null and (status = 'DECLINED' or kind = 'HOLD');
