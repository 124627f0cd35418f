-- Without a transaction, so that none of these statements keeps the lock of another's table.
-- Each rule is there before the one that it replaces goes.

create or replace trigger check_action
  before insert on payments
  for each row when (
    new.kind <> 'PAYMENT' or new.status <> 'AUTHORIZED' or new.amount_cents <= 0
    or num_nulls(new.payer_version, new.payee_version) > 0
    or num_nonnulls(new.decline_code, new.decline_message, new.parent_id, new.released_cents, new.expires_at,
      new.requested_cents, new.keep_remainder, new.batch_id, new.batch_item, new.batch_actions, new.request_digest) > 0
  ) execute function check_action();

alter table payments
  drop constraint if exists amount_fits_kind,
  drop constraint if exists authorized_has_entries_declined_has_reason,
  drop constraint if exists columns_fit_kind;

-- At the end of the statement, so that it sees the entries which the statement adds.
create or replace trigger check_flags
  after update on account_balances
  for each row when (new.flags <> 0) execute function check_flags();

drop trigger if exists reject_frozen_entries on account_balances;
drop function if exists reject_frozen_entries();
alter table account_balances drop constraint if exists closed_holds_nothing;
