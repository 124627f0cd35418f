import type { PendingEvent } from '../../relay/ports.ts';

/** What of a Kafka record is for its sender to say. */
export interface KafkaRecord {
  readonly key: string;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Names this service as the origin of its events; ce_source and ce_id together are unique. */
export const CE_SOURCE = '/payment-ledger';

/**
 * The event as a Kafka record: CloudEvents 1.0 in binary mode,
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md.
 *
 * The record's own timestamp is left to be the time of sending: with the event's it
 * could be past the topic's retention before anyone has read it.
 */
export function cloudEvent(event: PendingEvent): KafkaRecord {
  return {
    key: event.key,
    value: event.payload,
    headers: {
      ...event.headers,
      ce_specversion: '1.0',
      ce_id: event.eventId,
      ce_type: event.type,
      ce_source: CE_SOURCE,
      ce_time: event.createdAt.toISOString(),
      'content-type': 'application/json',
    },
  };
}
