import { type Admin, Kafka, logLevel, type SASLOptions } from 'kafkajs';
import type { Logger } from '../../relay/ports.ts';

export interface KafkaSettings {
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** Undefined is plain text. In PEM; without an authority of its own, those that come with Node are trusted. */
  readonly tls?:
    | {
        readonly ca?: string | undefined;
        /** For brokers that ask for a client certificate. */
        readonly cert?: string | undefined;
        readonly key?: string | undefined;
      }
    | undefined;
  readonly sasl?:
    | {
        readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
        readonly username: string;
        readonly password: string;
      }
    | undefined;
}

/** A kafkajs client with the time limits and the log of this service, for topics and for reading them. */
export function kafkaClient({ brokers, clientId, tls, sasl }: KafkaSettings, log: Logger): Kafka {
  return new Kafka({
    brokers: [...brokers],
    clientId,
    // It verifies names too.
    ...(tls !== undefined && { ssl: { ...tls } }),
    ...(sasl !== undefined && { sasl: sasl as SASLOptions }),
    connectionTimeout: 3_000,
    requestTimeout: 10_000,
    retry: { retries: 2, initialRetryTime: 100, maxRetryTime: 1_000 },
    logLevel: logLevel.INFO,
    logCreator:
      () =>
      ({ level, namespace, log: { message, timestamp: _, logger: __, ...fields } }) => {
        // kafkajs calls an error what its caller recovers from: the relay itself tells
        // what matters. A broker's answer is thrown to the caller as well.
        const answer = namespace === 'Connection' && message.startsWith('Response ');
        if ((level === logLevel.ERROR || level === logLevel.WARN) && !answer)
          log.warn({ ...fields, namespace }, `kafkajs: ${message}`);
        else log.debug({ ...fields, namespace }, `kafkajs: ${message}`);
      },
  });
}

/** Lends an admin connection, and closes it whatever becomes of its use. */
export async function withAdmin<T>(kafka: Kafka, use: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin();
  try {
    await admin.connect();
    return await use(admin);
  } finally {
    await admin.disconnect();
  }
}
