import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import { LedgerClient } from '../../tools/client.ts';
import { createDatabase, type TestDatabase } from './database.ts';
import { type Service, startApi, startRelay } from './processes.ts';

/** A database and a topic of the test's own, and whatever API and relay processes it starts on them. */
export interface System {
  readonly database: TestDatabase;
  readonly topic: string;
  startApi(env?: Record<string, string>): Promise<ApiProcess>;
  startRelay(env?: Record<string, string>): Promise<Service>;
  /** Stops everything that is still running and drops the database. */
  close(): Promise<void>;
}

export interface ApiProcess extends Service {
  readonly client: LedgerClient;
  readonly address: string;
}

/** Limits that never bite, for tests of other things. */
const UNLIMITED = { RATE_LIMIT_CAPACITY: '1000000', RATE_LIMIT_REFILL_PER_SECOND: '1000000' };

export async function createSystem(servers: Record<string, string> = {}): Promise<System> {
  const database = await createDatabase();
  const topic = `payment.events.${randomUUID()}`;
  const shared = {
    DATABASE_URL: database.url,
    REDIS_URL: inject('redisUrl'),
    KAFKA_BROKERS: inject('kafkaBrokers'),
    KAFKA_TOPIC: topic,
    ...servers,
  };
  const services: Service[] = [];
  const clients: LedgerClient[] = [];
  return {
    database,
    topic,
    async startApi(env) {
      const service = await startApi({ ...shared, ...UNLIMITED, ...env });
      services.push(service);
      const address = String(service.ready['address']);
      const client = new LedgerClient(address);
      clients.push(client);
      return { ...service, address, client };
    },
    async startRelay(env) {
      const service = await startRelay({ ...shared, ...env });
      services.push(service);
      return service;
    },
    async close() {
      for (const client of clients) client.close();
      await Promise.all(services.map((service) => service.stop()));
      await database.drop();
    },
  };
}
