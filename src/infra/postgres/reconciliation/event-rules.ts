import { CHANGE_EVENT_RULES, ulidOf } from './account-rules.ts';
import type { StageTable } from './books-stages.ts';
import { eventTypeOf } from './event-type.ts';

const stateAfter = (entry: string) => `jsonb_build_object(
  'balanceCents', nullif(${entry}.balance_after_cents, 0)::text, 'version', ${entry}.version::text,
  'pendingCents', ${entry}.pending_after_cents::text)`;

export const EVENT_RULES: StageTable['rules'] = {
  EVENT_HAS_ITS_PAYMENT: `
    select event.id::text as culprit
    from page event
    left join payments on payments.payment_id = event.id
    left join account_changes on account_changes.change_id = event.id
    where payments.payment_id is null and account_changes.change_id is null`,
  ...CHANGE_EVENT_RULES,
  EVENT_HAS_KEY_OF_PAYMENT: `
    select event.id::text as culprit
    from page event join payments on payments.payment_id = event.id
    where event.aggregatetype <> 'payment' or event.aggregateid <> payments.payer_account_id`,
  EVENT_HAS_TYPE_OF_PAYMENT: `
    select event.id::text as culprit
    from page event join payments on payments.payment_id = event.id
    where event.type is distinct from ${eventTypeOf('payments')}`,
  EVENT_HAS_AMOUNT_OF_PAYMENT: `
    select event.id::text as culprit
    from page event join payments on payments.payment_id = event.id
    where (event.payload ->> 'amountCents', event.payload ->> 'currency')
      is distinct from (nullif(payments.amount_cents, 0)::text, payments.currency)`,
  // Protobuf-JSON leaves out what is empty or zero.
  EVENT_HAS_PAYLOAD_OF_PAYMENT: `
    select event.id::text as culprit
    from page event
    join payments on payments.payment_id = event.id
    left join ledger_entries payer
      on payer.account_id = payments.payer_account_id and payer.version = payments.payer_version
    left join ledger_entries payee
      on payee.account_id = payments.payee_account_id and payee.version = payments.payee_version
    where event.payload
        - '{amountCents,currency,authorizedAt,declinedAt,heldAt,capturedAt,voidedAt,expiredAt,refundedAt,expiresAt}'::text[]
      is distinct from
      jsonb_strip_nulls(jsonb_build_object(
        'paymentId', ${ulidOf('coalesce(payments.parent_id, event.id)')},
        'actionId', case when payments.parent_id is not null then ${ulidOf('event.id')} end,
        'payerAccountId', payments.payer_account_id,
        'payeeAccountId', payments.payee_account_id,
        'releasedCents', nullif(payments.released_cents, 0)::text,
        'description', nullif(payments.description, ''),
        'reference', payments.reference,
        'metadata', payments.metadata,
        'batchId', case when payments.batch_id is not null then ${ulidOf('payments.batch_id')} end
      ) || case payments.status
        when 'AUTHORIZED' then jsonb_build_object(
          'payer', ${stateAfter('payer')},
          'payee', case when payee.version is not null then ${stateAfter('payee')} end)
        else jsonb_build_object(
          'error', jsonb_build_object('code', 'PAYMENT_ERROR_CODE_' || payments.decline_code, 'message', payments.decline_message),
          'type', case when payments.parent_id is not null then 'PAYMENT_ACTION_TYPE_' || payments.kind::text end)
      end)`,
};
