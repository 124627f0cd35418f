import { shardOf } from '../domain/shard.ts';
import type { AuditedEvent, SentEvent } from './ports.ts';

const MISMATCHED_NAMED = 100;

/**
 * Events that payments and changes of accounts call for, struck out as they are found on
 * Kafka. A record with the id of one and another key, partition, type or payload is not its
 * event: consumers would take it for something else, or out of order.
 */
export class SoughtEvents {
  /** Those that must be there: the key by the event's id. */
  readonly left = new Map<string, string>();
  /** Those from a time that the topic is known not to retain: nothing is read for their sake. */
  readonly tooOld = new Set<string>();
  /** Those that are still pending. They may be there all the same, sent and not yet deleted. */
  readonly pending = new Set<string>();
  /** Records that are not what is called for: a sentence each. */
  readonly mismatched: string[] = [];
  readonly #events: ReadonlyMap<string, AuditedEvent>;
  readonly #partitions: number;

  constructor(
    events: readonly AuditedEvent[],
    partitions: number,
    mayBeThere: (event: AuditedEvent) => boolean = () => true,
  ) {
    this.#events = new Map(events.map((event) => [event.eventId, event]));
    this.#partitions = partitions;
    for (const event of events) {
      if (event.state === 'PENDING') this.pending.add(event.eventId);
      if (event.state !== 'SENT') continue;
      if (mayBeThere(event)) this.left.set(event.eventId, event.key);
      else this.tooOld.add(event.eventId);
    }
  }

  strikeOut(records: readonly SentEvent[]): void {
    for (const record of records) {
      const event = this.#events.get(record.eventId);
      if (event === undefined) continue;
      const mismatch = mismatchOf(record, event, this.#partitions);
      if (mismatch === undefined) {
        this.left.delete(record.eventId) || this.tooOld.delete(record.eventId) || this.pending.delete(record.eventId);
      } else if (this.mismatched.length < MISMATCHED_NAMED) {
        const { eventId, offset, partition } = record;
        this.mismatched.push(`ce_id "${eventId}" at offset ${offset} of partition ${partition} ${mismatch}`);
      }
    }
  }
}

/** What a record is that the event is not. */
function mismatchOf(record: SentEvent, event: AuditedEvent, partitions: number): string | undefined {
  const { key, type, partition } = record;
  const origin = originOf(event);
  if (key !== event.key) return `has key ${JSON.stringify(key)}, its ${origin} has ${JSON.stringify(event.key)}`;
  if (type !== event.type) return `has type ${JSON.stringify(type)}, its ${origin} calls for ${event.type}`;
  const expected = shardOf(event.key, partitions);
  if (partition !== expected) return `belongs in partition ${expected} by its key`;
  return payloadMismatch(record.value, event);
}

function originOf({ type }: AuditedEvent): string {
  return type.startsWith('account.') ? 'account change' : 'payment';
}

/** Which field of the payload is not what it must be. */
function payloadMismatch(value: string, event: AuditedEvent): string | undefined {
  const payload = parsed(value);
  if (payload === undefined) return 'has a value that is no JSON object';
  for (const [field, text] of Object.entries(event.fields)) {
    if (payload[field] === text) continue;
    return `has ${field} ${JSON.stringify(payload[field])}, its ${originOf(event)} has ${JSON.stringify(text)}`;
  }
  const own = TIME_FIELDS[event.type];
  const isRight = Object.values(TIME_FIELDS).every((field) => field in payload === (field === own));
  return isRight ? undefined : `says another status than ${event.type}`;
}

/** By type: the field with its time, which no other message has but that of the other decline. */
const TIME_FIELDS: Readonly<Record<string, string>> = {
  'payment.authorized.v1': 'authorizedAt',
  'payment.declined.v1': 'declinedAt',
  'payment.held.v1': 'heldAt',
  'payment.captured.v1': 'capturedAt',
  'payment.voided.v1': 'voidedAt',
  'payment.expired.v1': 'expiredAt',
  'payment.refunded.v1': 'refundedAt',
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
