import type { PaymentEventType } from '../domain/event.ts';
import { shardOf } from '../domain/shard.ts';
import type { AuditedPayment, SentEvent } from './ports.ts';

const MISMATCHED_NAMED = 100;

/**
 * Events of payments, struck out as they are found on Kafka. A record with the id of a
 * payment and another key, partition, type or payload is not its event: consumers would
 * take it for something else, or out of order.
 */
export class SoughtEvents {
  /** Those that must be there: the payer by payment id. */
  readonly left = new Map<string, string>();
  /** Those from a time that the topic is known not to retain: nothing is read for their sake. */
  readonly tooOld = new Set<string>();
  /** Those that are still pending. They may be there all the same, sent and not yet deleted. */
  readonly pending = new Set<string>();
  /** Records that are not what their payment calls for: a sentence each. */
  readonly mismatched: string[] = [];
  readonly #payments: ReadonlyMap<string, AuditedPayment>;
  readonly #partitions: number;

  constructor(
    payments: readonly AuditedPayment[],
    partitions: number,
    mayBeThere: (payment: AuditedPayment) => boolean = () => true,
  ) {
    this.#payments = new Map(payments.map((payment) => [payment.paymentId, payment]));
    this.#partitions = partitions;
    for (const payment of payments) {
      if (payment.event === 'PENDING') this.pending.add(payment.paymentId);
      if (payment.event !== 'SENT') continue;
      if (mayBeThere(payment)) this.left.set(payment.paymentId, payment.payerAccountId);
      else this.tooOld.add(payment.paymentId);
    }
  }

  strikeOut(records: readonly SentEvent[]): void {
    for (const record of records) {
      const payment = this.#payments.get(record.eventId);
      if (payment === undefined) continue;
      const mismatch = mismatchOf(record, payment, this.#partitions);
      if (mismatch === undefined) {
        this.left.delete(record.eventId) || this.tooOld.delete(record.eventId) || this.pending.delete(record.eventId);
      } else if (this.mismatched.length < MISMATCHED_NAMED) {
        const { eventId, offset, partition } = record;
        this.mismatched.push(`ce_id "${eventId}" at offset ${offset} of partition ${partition} ${mismatch}`);
      }
    }
  }
}

/** What a record is that the event of the payment is not. */
function mismatchOf(record: SentEvent, payment: AuditedPayment, partitions: number): string | undefined {
  const { key, type, partition } = record;
  const { payerAccountId, eventType } = payment;
  if (key !== payerAccountId) return `has key ${JSON.stringify(key)}, its payer is ${JSON.stringify(payerAccountId)}`;
  if (type !== eventType) return `has type ${JSON.stringify(type)}, its payment calls for ${eventType}`;
  const expected = shardOf(payerAccountId, partitions);
  if (partition !== expected) return `belongs in partition ${expected} by its key`;
  return payloadMismatch(record.value, payment);
}

/** Which field of the payload is not the payment's. */
function payloadMismatch(value: string, payment: AuditedPayment): string | undefined {
  const payload = parsed(value);
  if (payload === undefined) return 'has a value that is no JSON object';
  const expected: Readonly<Record<string, string | undefined>> = {
    paymentId: payment.parentId ?? payment.paymentId,
    actionId: payment.parentId && payment.paymentId,
    payerAccountId: payment.payerAccountId,
    payeeAccountId: payment.payeeAccountId,
    // Protobuf-JSON leaves zeros out.
    amountCents: payment.amountCents === 0n ? undefined : payment.amountCents.toString(),
    currency: payment.currency,
  };
  for (const [field, text] of Object.entries(expected)) {
    if (payload[field] === text) continue;
    return `has ${field} ${JSON.stringify(payload[field])}, its payment has ${JSON.stringify(text)}`;
  }
  const own = TIME_FIELDS[payment.eventType];
  const isRight = Object.values(TIME_FIELDS).every((field) => field in payload === (field === own));
  return isRight ? undefined : `says another status than ${payment.eventType}`;
}

/** By type: the field with its time, which no other message has but that of the other decline. */
const TIME_FIELDS: Readonly<Record<PaymentEventType, string>> = {
  'payment.authorized.v1': 'authorizedAt',
  'payment.declined.v1': 'declinedAt',
  'payment.held.v1': 'heldAt',
  'payment.captured.v1': 'capturedAt',
  'payment.voided.v1': 'voidedAt',
  'payment.expired.v1': 'expiredAt',
  'payment.action_declined.v1': 'declinedAt',
};

function parsed(value: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const json: unknown = JSON.parse(value);
    return typeof json === 'object' && json !== null ? { ...json } : undefined;
  } catch {
    // Whatever is no JSON is reported as such.
    return undefined;
  }
}
