import type { PendingEvent } from '../../relay/ports.ts';

/** What of a Kafka record is for its sender to say. */
export interface KafkaRecord {
  readonly key: string;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The event as a Kafka record: CloudEvents 1.0 in binary mode,
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md.
 * The source names this ledger among others.
 *
 * The record's own timestamp is left to be the time of sending: with the event's it
 * could be past the topic's retention before anyone has read it.
 */
export function cloudEvent(event: PendingEvent, source: string): KafkaRecord {
  return {
    key: event.key,
    value: event.payload,
    headers: {
      ...event.headers,
      ce_specversion: '1.0',
      ce_id: event.eventId,
      ce_type: event.type,
      ce_source: source,
      ce_time: event.createdAt.toISOString(),
      'content-type': 'application/json',
      ...(event.subject !== undefined && { ce_subject: event.subject }),
    },
  };
}
