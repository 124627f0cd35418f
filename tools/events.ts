import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import { PaymentAuthorized, PaymentDeclined } from '../src/gen/payment/v1/events.ts';

/** A record of the events topic as a consumer gets it. */
export interface ReceivedEvent {
  readonly partition: number;
  readonly offset: bigint;
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly type: string;
  readonly eventId: string;
  readonly authorized?: PaymentAuthorized;
  readonly declined?: PaymentDeclined;
}

export interface EventConsumer {
  /** Everything received so far, in the order of arrival. */
  readonly events: readonly ReceivedEvent[];
  /** Resolves when the condition holds for what was received; fails after the time limit. */
  until(condition: (events: readonly ReceivedEvent[]) => boolean, timeoutMs?: number): Promise<void>;
  close(): Promise<void>;
}

/** Consumes the topic from its beginning, calling onEvent for each event. The topic must exist. */
export async function consumeEvents(
  brokers: string,
  topic: string,
  onEvent: (event: ReceivedEvent) => void = () => undefined,
): Promise<EventConsumer> {
  const kafka = new Kafka({
    brokers: brokers.split(','),
    clientId: 'payment-ledger-tools',
    logLevel: logLevel.NOTHING,
  });
  const consumer = kafka.consumer({ groupId: randomUUID() });
  const events: ReceivedEvent[] = [];
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      const headers = Object.fromEntries(
        Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]),
      );
      const type = headers['ce_type'] ?? '';
      const value = JSON.parse(String(message.value));
      const event: ReceivedEvent = {
        partition,
        offset: BigInt(message.offset),
        key: String(message.key),
        headers,
        type,
        eventId: headers['ce_id'] ?? '',
        ...(type === 'payment.authorized.v1' && { authorized: PaymentAuthorized.fromJSON(value) }),
        ...(type === 'payment.declined.v1' && { declined: PaymentDeclined.fromJSON(value) }),
      };
      events.push(event);
      onEvent(event);
    },
  });
  return {
    events,
    async until(condition, timeoutMs = 60_000) {
      const deadline = Date.now() + timeoutMs;
      while (!condition(events)) {
        if (Date.now() > deadline) throw new Error(`after ${timeoutMs} ms only ${events.length} events had arrived`);
        await new Promise((resume) => setTimeout(resume, 50));
      }
    },
    close: () => consumer.disconnect(),
  };
}
