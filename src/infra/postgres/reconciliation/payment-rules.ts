import type { StageTable } from './books-stages.ts';

export const PAYMENT_RULES: StageTable['rules'] = {
  // Of each kind, what the payer's entry and the payee's are; a hold, a void and an expiry have none of the payee's.
  PAYMENT_HAS_ITS_ENTRIES: `
    select payment.payment_id::text as culprit
    from page payment
    join (values
      ('PAYMENT'::payment_kind, 'DEBIT'::entry_direction, 'CREDIT'::entry_direction),
      ('HOLD', 'HOLD', null), ('CAPTURE', 'DEBIT', 'CREDIT'), ('VOID', 'RELEASE', null), ('EXPIRY', 'RELEASE', null),
      ('REFUND', 'CREDIT', 'DEBIT')
    ) as called_for (kind, of_payer, of_payee) using (kind)
    left join ledger_entries payer
      on payer.account_id = payment.payer_account_id and payer.version = payment.payer_version
    left join ledger_entries payee
      on payee.account_id = payment.payee_account_id and payee.version = payment.payee_version
    where payment.status = 'AUTHORIZED'
      and ((payer.payment_id, payer.direction, payer.amount_cents, payer.released_cents) is distinct from
             (payment.payment_id, of_payer,
              case of_payer when 'RELEASE' then payment.released_cents else payment.amount_cents end,
              case kind when 'CAPTURE' then payment.released_cents end)
        or (payee.payment_id, payee.direction, payee.amount_cents, payee.released_cents) is distinct from
             (case when of_payee is not null then payment.payment_id end, of_payee,
              case when of_payee is not null then payment.amount_cents end,
              case kind when 'CAPTURE' then 0::bigint end))`,
  PAYMENT_HAS_CURRENCY_OF_ACCOUNTS: `
    select payment.payment_id::text as culprit
    from page payment
    join accounts payer on payer.account_id = payment.payer_account_id
    join accounts payee on payee.account_id = payment.payee_account_id
    where payment.status = 'AUTHORIZED'
      and (payer.currency <> payment.currency or payee.currency <> payment.currency)`,
  ENTRIES_FORM_A_CHAIN: `
    select entry.account_id as culprit
    from page payment
    cross join lateral (
      values (payment.payer_account_id, payment.payer_version), (payment.payee_account_id, payment.payee_version)
    ) as side (account_id, version)
    join ledger_entries entry on entry.account_id = side.account_id and entry.version = side.version
    left join ledger_entries previous on previous.account_id = side.account_id and previous.version = side.version - 1
    where entry.balance_after_cents is distinct from
        case entry.direction when 'DEBIT' then -entry.amount_cents when 'CREDIT' then entry.amount_cents else 0 end
        + case entry.version when 1 then 0 else previous.balance_after_cents end
      or coalesce(entry.pending_after_cents, 0) <> coalesce(previous.pending_after_cents, 0)
        + case entry.direction
            when 'HOLD' then entry.amount_cents
            when 'RELEASE' then -entry.amount_cents
            when 'DEBIT' then -coalesce(entry.amount_cents + entry.released_cents, 0)
            else 0
          end`,
  HOLD_HAS_ITS_BALANCE: `
    select page.payment_id::text as culprit
    from page left join payment_balances balance using (payment_id)
    where page.kind = 'HOLD' and (balance.payment_id is not null) <> (page.status = 'AUTHORIZED')`,
  REFUND_HAS_ITS_BALANCE: `
    select page.payment_id::text as culprit
    from page left join payment_balances balance on balance.payment_id = page.parent_id
    where page.kind = 'REFUND' and page.status = 'AUTHORIZED' and balance.payment_id is null`,
  ACTION_HAS_ITS_PAYMENT: `
    select page.payment_id::text as culprit
    from page left join payments parent on parent.payment_id = page.parent_id
    where page.parent_id is not null and (
      parent.parent_id is not null
      or (page.status = 'AUTHORIZED' and parent.status <> 'AUTHORIZED')
      or (page.payer_account_id, page.payee_account_id, page.currency)
        is distinct from (parent.payer_account_id, parent.payee_account_id, parent.currency))`,
  // The row with the batch's id names all of them, and each of them that row.
  BATCH_IS_WHOLE: `
    select page.payment_id::text as culprit
    from page
    left join lateral (
      select count(*) as items
      from unnest(page.batch_actions) with ordinality as item (payment_id, n)
      join payments on payments.payment_id = item.payment_id
      where (payments.batch_id, payments.batch_item, payments.status, payments.created_at)
        = (page.payment_id, n - 1, 'AUTHORIZED', page.created_at)
    ) batch on true
    left join payments first on first.payment_id = page.batch_id
    where (page.batch_id is null and num_nonnulls(page.batch_item, page.batch_actions, page.request_digest) > 0)
      or (page.batch_id = page.payment_id and items <> coalesce(cardinality(page.batch_actions), 0))
      or (page.batch_id <> page.payment_id and first.batch_actions[page.batch_item + 1] is distinct from page.payment_id)`,
};

export const PAYMENT_BALANCE_RULES: StageTable['rules'] = {
  PAYMENT_BALANCE_IS_SUM_OF_ACTIONS: `
    select page.payment_id::text as culprit
    from page
    left join payments first on first.payment_id = page.payment_id and first.status = 'AUTHORIZED' and first.parent_id is null
    cross join lateral (
      select coalesce(sum(amount_cents) filter (where kind = 'CAPTURE'), 0) as captured,
        coalesce(sum(released_cents), 0) as released,
        coalesce(sum(amount_cents) filter (where kind = 'REFUND'), 0) as refunded,
        count(*) filter (where kind in ('CAPTURE', 'REFUND')) as actions
      from payments where parent_id = page.payment_id and status = 'AUTHORIZED'
    ) as later
    where (page.payer_account_id, page.payee_account_id, page.amount_cents, page.expires_at)
        is distinct from (first.payer_account_id, first.payee_account_id, first.amount_cents, first.expires_at)
      or (page.held_cents, page.captured_cents, page.released_cents, page.refunded_cents, page.actions) is distinct from (
        case first.kind when 'HOLD' then first.amount_cents - later.captured - later.released else 0 end,
        case first.kind when 'HOLD' then later.captured else first.amount_cents end,
        later.released, later.refunded, later.actions)`,
};
