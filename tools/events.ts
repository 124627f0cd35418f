import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import { AccountChanged, PaymentAuthorized, PaymentDeclined } from '../src/gen/payment/v1/events.ts';
import { withAdmin } from '../src/infra/kafka/client.ts';

/** A record of the events topic as a consumer gets it. */
export interface ReceivedEvent {
  readonly partition: number;
  readonly offset: bigint;
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly type: string;
  /** As it was sent: protobuf-JSON. */
  readonly value: string;
  readonly eventId: string;
  readonly authorized?: PaymentAuthorized;
  readonly declined?: PaymentDeclined;
  readonly accountChanged?: AccountChanged;
}

export interface EventConsumer {
  /** Everything received so far, in the order of arrival. */
  readonly events: readonly ReceivedEvent[];
  /** Resolves when the condition holds for what was received; fails after the time limit. */
  until(condition: (events: readonly ReceivedEvent[]) => boolean, timeoutMs?: number): Promise<void>;
  close(): Promise<void>;
}

export interface ConsumeOptions {
  /** Leave out what was on the topic before. */
  readonly fromNow?: boolean;
  readonly onEvent?: (event: ReceivedEvent) => void;
}

/** Consumes the topic, which must exist, from its beginning or from now on. */
export async function consumeEvents(
  brokers: string,
  topic: string,
  { fromNow = false, onEvent = () => undefined }: ConsumeOptions = {},
): Promise<EventConsumer> {
  const kafka = new Kafka({
    brokers: brokers.split(','),
    clientId: 'payment-ledger-tools',
    logLevel: logLevel.NOTHING,
  });
  // disconnect() waits for the fetch in flight, so that one should not wait long for events.
  const consumer = kafka.consumer({ groupId: randomUUID(), maxWaitTimeInMs: 200 });
  const events: ReceivedEvent[] = [];
  /** Where to go on, for each partition that does not begin at its beginning. */
  const next = new Map<number, string>();
  // Where the topic ends as we are called: what comes while the group still forms is not missed.
  for (const { partition, offset } of fromNow ? await endOffsets(kafka, topic) : []) next.set(partition, offset);
  // On a busy machine the first attempt to join may fail, and kafkajs begins again in the background.
  consumer.on(consumer.events.GROUP_JOIN, () => {
    for (const [partition, offset] of next) consumer.seek({ topic, partition, offset });
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      const headers = Object.fromEntries(
        Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]),
      );
      const type = headers['ce_type'] ?? '';
      const value = String(message.value);
      const json = JSON.parse(value);
      const event: ReceivedEvent = {
        partition,
        offset: BigInt(message.offset),
        key: String(message.key),
        headers,
        type,
        value,
        eventId: headers['ce_id'] ?? '',
        ...(type === 'payment.authorized.v1' && { authorized: PaymentAuthorized.fromJSON(json) }),
        ...(type === 'payment.declined.v1' && { declined: PaymentDeclined.fromJSON(json) }),
        ...(type.startsWith('account.') && { accountChanged: AccountChanged.fromJSON(json) }),
      };
      events.push(event);
      if (next.has(partition)) next.set(partition, String(event.offset + 1n));
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

/** Where each partition of the topic ends now. */
export function endOffsets(kafka: Kafka, topic: string): Promise<{ partition: number; offset: string }[]> {
  return withAdmin(kafka, (admin) => admin.fetchTopicOffsets(topic));
}
