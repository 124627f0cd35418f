import { describe, expect, test } from 'vitest';
import type { EventPublisher, PendingEvent } from '../../../src/relay/ports.ts';
import { tracedPublisher } from '../../../src/relay/traced-publisher.ts';
import { recordingTracer, traceparent } from '../../support/recording-tracer.ts';

const createdAt = new Date('2026-01-01T00:00:00Z');

function event(eventId: string, headers: Record<string, string>): PendingEvent {
  return {
    shard: 3,
    position: 1n,
    eventId,
    uuid: 'unused',
    key: 'acc-unseen',
    type: 't',
    payload: '{}',
    headers,
    createdAt,
    blocked: false,
  };
}

function publisher(publish: EventPublisher['publish']): EventPublisher {
  return { publish, ping: async () => undefined, close: async () => undefined };
}

const events = [
  event('A', { traceparent: traceparent(1) }),
  event('B', {}),
  event('C', { traceparent: traceparent(2, '00') }),
];

describe('the spans of a send', () => {
  test('each sampled event has one, and one for its time in the outbox; events go as they are', async () => {
    const tracer = recordingTracer();
    const sent: (readonly PendingEvent[])[] = [];
    const kafka = publisher(async (_, batch) => {
      sent.push(batch);
    });
    await tracedPublisher(kafka, tracer, 'topic').publish(3, events);
    expect(sent).toEqual([events]);
    const [send, wait] = tracer.spans;
    expect(tracer.spans).toHaveLength(2);
    expect(send).toMatchObject({ name: 'send topic', kind: 'PRODUCER', parent: traceparent(1), outcome: {} });
    expect(send!.attributes).toMatchObject({ 'messaging.message.id': 'A', 'messaging.batch.message_count': 3 });
    expect(wait).toMatchObject({ name: 'outbox wait', parent: traceparent(1), startedAt: createdAt });
    expect(wait!.outcome?.at).toBeInstanceOf(Date);
    expect(JSON.stringify(tracer.spans)).not.toContain('acc-unseen');
  });

  test('a send that fails ends them as failed, and the event is still pending', async () => {
    const tracer = recordingTracer();
    const failing = publisher(() => Promise.reject(new TypeError('no broker')));
    await expect(tracedPublisher(failing, tracer, 'topic').publish(3, events)).rejects.toThrow('no broker');
    expect(tracer.spans.map(({ name, outcome }) => [name, outcome])).toEqual([
      ['send topic', { failed: true, attributes: { 'error.type': 'TypeError' } }],
    ]);
  });
});
