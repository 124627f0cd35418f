import { account_StateToJSON } from '../gen/payment/v1/account.ts';
import {
  AccountChanged,
  PaymentActionDeclined,
  PaymentAuthorized,
  PaymentCaptured,
  PaymentDeclined,
  PaymentHeld,
  PaymentRefunded,
} from '../gen/payment/v1/events.ts';
import { paymentActionTypeToJSON, paymentErrorCodeToJSON } from '../gen/payment/v1/payment.ts';
import type { TopicRecord } from '../infra/kafka/topic-tail.ts';
import { printable, shortName } from './output.ts';

/** What the types of events say happened, to payments and to accounts. */
export const EVENT_TYPES = [
  'authorized',
  'declined',
  'held',
  'captured',
  'voided',
  'expired',
  'refunded',
  'action_declined',
  'opened',
  'updated',
  'frozen',
  'unfrozen',
  'closed',
];

/** A record of the topic, as far as it is an event. */
export interface TopicEvent {
  readonly partition: number;
  readonly offset: bigint;
  readonly sentAt: string;
  readonly key: string;
  /** Empty if the record has no ce_id; so are type, source and time. */
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly time: string;
  readonly replayed: boolean;
  /** The value as JSON; null if it is none. */
  readonly data: Readonly<Record<string, unknown>> | null;
}

export interface EventFilter {
  readonly account?: string;
  readonly payment?: string;
  /** What its type says happened, such as authorized. */
  readonly type?: string;
}

export function decode({ partition, offset, sentAt, key, headers, value }: TopicRecord): TopicEvent {
  return {
    partition,
    offset,
    sentAt: sentAt.toISOString(),
    key,
    id: headers['ce_id'] ?? '',
    type: headers['ce_type'] ?? '',
    source: headers['ce_source'] ?? '',
    time: headers['ce_time'] ?? '',
    replayed: headers['ce_replayed'] === 'true' || headers['replayed'] === 'true',
    data: objectOf(value),
  };
}

function objectOf(value: string): TopicEvent['data'] {
  try {
    const data: unknown = JSON.parse(value);
    return typeof data === 'object' && data !== null ? { ...data } : null;
  } catch {
    // Whatever is no JSON was not sent by the relay, and is shown as such.
    return null;
  }
}

/** Whether the event is one of those that were asked for. */
export function matches({ type, id, data }: TopicEvent, filter: EventFilter): boolean {
  // A later action on a payment has an id of its own.
  if (filter.payment !== undefined && ![id, data?.['paymentId']].includes(filter.payment)) return false;
  if (filter.type !== undefined && type.split('.')[1] !== filter.type) return false;
  if (filter.account === undefined) return true;
  return ['payerAccountId', 'payeeAccountId', 'accountId'].some((field) => data?.[field] === filter.account);
}

/** A line for people. */
export function eventLine(event: TopicEvent): string {
  const { time, type, id, partition, offset, replayed } = event;
  const where = `(partition ${partition}, offset ${offset}${replayed ? ', replayed' : ''})`;
  return printable(`${time || event.sentAt}  ${type || 'no event'}  ${id || '-'}  ${contentOf(event)}  ${where}`);
}

function accountLine({ accountId, revision, state, overdraftLimitCents, currency, reason }: AccountChanged): string {
  const why = reason === '' ? '' : `  ${reason}`;
  return `${accountId} at ${revision}: ${shortName(account_StateToJSON(state))}, overdraft limit ${overdraftLimitCents} ${currency}${why}`;
}

function contentOf({ type, data, key }: TopicEvent): string {
  if (data === null) return `key ${key}, whose value is no JSON object`;
  switch (type) {
    case 'payment.authorized.v1': {
      const event = PaymentAuthorized.fromJSON(data);
      const { payer, payee } = event;
      return (
        `${event.payerAccountId} -> ${event.payeeAccountId} ${event.amountCents} ${event.currency}` +
        `  balances ${payer?.balanceCents} at ${payer?.version}, ${payee?.balanceCents} at ${payee?.version}`
      );
    }
    case 'payment.declined.v1': {
      const event = PaymentDeclined.fromJSON(data);
      const code = event.error === undefined ? '' : shortName(paymentErrorCodeToJSON(event.error.code));
      return `${event.payerAccountId} -> ${event.payeeAccountId} ${event.amountCents} ${event.currency}  ${code}`;
    }
    case 'payment.held.v1': {
      const event = PaymentHeld.fromJSON(data);
      return `${event.payerAccountId} -> ${event.payeeAccountId} ${event.amountCents} ${event.currency}  until ${event.expiresAt}`;
    }
    case 'payment.captured.v1':
    case 'payment.voided.v1':
    case 'payment.expired.v1': {
      // All three have these fields; of a void and an expiry the amount is 0.
      const event = PaymentCaptured.fromJSON(data);
      const moved = `${event.amountCents} ${event.currency}, ${event.releasedCents} released`;
      return `${event.payerAccountId} -> ${event.payeeAccountId} ${moved}  of ${event.paymentId}`;
    }
    case 'payment.refunded.v1': {
      const event = PaymentRefunded.fromJSON(data);
      return `${event.payeeAccountId} -> ${event.payerAccountId} ${event.amountCents} ${event.currency}  of ${event.paymentId}`;
    }
    case 'payment.action_declined.v1': {
      const event = PaymentActionDeclined.fromJSON(data);
      const code = event.error === undefined ? '' : shortName(paymentErrorCodeToJSON(event.error.code));
      const action = paymentActionTypeToJSON(event.type).replace('PAYMENT_ACTION_TYPE_', '');
      return `${action} of ${event.amountCents} ${event.currency}  ${code}  of ${event.paymentId}`;
    }
    default:
      return type.startsWith('account.') ? accountLine(AccountChanged.fromJSON(data)) : JSON.stringify(data);
  }
}
