import type { Action } from '../../../app/domain/payment.ts';
import type { DecidedAction } from '../../../app/ports.ts';
import { ulidToUuid } from '../../../app/ulid.ts';
import { type Column, json, optionalJson, plain, text } from './columns.ts';

export type Decided = DecidedAction & { readonly shard: number };

/** What every action has. */
export const ACTION_COLUMNS: readonly Column<Decided>[] = [
  plain('payment_id', 'uuid', ({ action }) => ulidToUuid(action.actionId)),
  text('payer_account_id', ({ action }) => action.payerAccountId),
  text('payee_account_id', ({ action }) => action.payeeAccountId),
  plain('amount_cents', 'bigint', ({ action }) => action.amountCents),
  text('currency', ({ action }) => action.currency),
  plain('status', 'payment_status', ({ action }) => action.verdict.status),
  text('description', ({ action }) => action.description),
  text('reference', ({ action }) => action.reference),
  optionalJson('metadata', ({ action }) => action.metadata),
  text('decline_code', ({ action }) => declineOf(action)?.code),
  text('decline_message', ({ action }) => declineOf(action)?.message),
  plain('payer_version', 'bigint', ({ entries }) => entries?.payer.version),
  plain('payee_version', 'bigint', ({ entries }) => entries?.payee?.version),
  plain('shard', 'smallint', ({ shard }) => shard),
  text('event_type', ({ event }) => event.type),
  json('payload', ({ event }) => event.payload),
];

function declineOf({ verdict }: Action) {
  return verdict.status === 'DECLINED' ? verdict.decline : undefined;
}
