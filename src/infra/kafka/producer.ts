import { isIP } from 'node:net';
import { Producer, type SASLMechanismValue } from '@platformatic/kafka';
import type { KafkaSettings } from './client.ts';

export type Bytes = Buffer<ArrayBuffer>;
export type BytesProducer = Producer<Bytes, Bytes, Bytes, Bytes>;

/** Far more than there are shards: no request is to queue in the client behind another. */
const REQUESTS_IN_FLIGHT = 1_024;

/** A producer that makes one request of each send and tries nothing twice. It connects when it is used. */
export function createProducer(
  settings: KafkaSettings,
  { ackTimeoutMs }: { readonly ackTimeoutMs: number },
): BytesProducer {
  return new Producer({
    ...connectionOptions(settings),
    timeout: ackTimeoutMs,
    repeatOnStaleMetadata: false,
    autocreateTopics: false,
    maxInflights: REQUESTS_IN_FLIGHT,
  });
}

/** How a client of @platformatic/kafka reaches the brokers. It tries nothing twice. */
export function connectionOptions({ brokers, clientId, tls, sasl }: KafkaSettings) {
  return {
    clientId,
    bootstrapBrokers: [...brokers],
    ...(tls !== undefined && {
      tls: { ca: tls.ca, cert: tls.cert, key: tls.key },
      // Brokers behind one address are told apart by the name that is asked for; an address is no name.
      tlsServerName: !brokers.some((broker) => isIP(hostOf(broker))),
    }),
    ...(sasl !== undefined && {
      sasl: {
        mechanism: sasl.mechanism.toUpperCase() as SASLMechanismValue,
        username: sasl.username,
        password: sasl.password,
      },
    }),
    connectTimeout: 3_000,
    // A broker answers within the time for its replicas; this is for one that says nothing at all.
    requestTimeout: 10_000,
    retries: 0,
  };
}

function hostOf(broker: string): string {
  return broker.slice(0, broker.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}
