import { failedWith, isSampled, type Span, type Tracer } from '../app/tracing.ts';
import type { EventPublisher, PendingEvent } from './ports.ts';

/**
 * The same publisher with two spans for each sampled event, in the trace of the call that
 * made it: its time in the outbox, and the send. The event's own header stays as the API
 * wrote it, so that an event that is sent twice is the same both times.
 */
export function tracedPublisher(publisher: EventPublisher, tracer: Tracer, topic: string): EventPublisher {
  return {
    async publish(shard, events) {
      const sampled = events.filter((event) => isSampled(event.headers['traceparent']));
      if (sampled.length === 0) return publisher.publish(shard, events);
      const sendingAt = new Date();
      const sends = sampled.map((event) => startSend(tracer, topic, event, events.length));
      try {
        await publisher.publish(shard, events);
      } catch (error) {
        for (const send of sends) send?.end(failedWith(error));
        throw error;
      }
      for (const send of sends) send?.end();
      for (const event of sampled) recordWait(tracer, event, sendingAt);
    },
    ping: () => publisher.ping(),
    close: () => publisher.close(),
  };
}

function startSend(tracer: Tracer, topic: string, event: PendingEvent, batchSize: number): Span | undefined {
  return tracer.start({
    name: `send ${topic}`,
    kind: 'PRODUCER',
    parent: event.headers['traceparent'],
    attributes: {
      'messaging.system': 'kafka',
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': topic,
      'messaging.destination.partition.id': String(event.shard),
      'messaging.message.id': event.eventId,
      'messaging.batch.message_count': batchSize,
    },
  });
}

/** Only once the event is sent: until then it waits, however often it was tried. */
function recordWait(tracer: Tracer, { headers, eventId, createdAt, shard }: PendingEvent, sendingAt: Date): void {
  const wait = tracer.start({
    name: 'outbox wait',
    kind: 'INTERNAL',
    parent: headers['traceparent'],
    startedAt: createdAt,
    attributes: { 'messaging.message.id': eventId, 'payment_ledger.outbox.shard': shard },
  });
  wait?.end({ at: sendingAt });
}
