import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import { LedgerClient } from '../../tools/client.ts';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { createDatabase, openDatabase, type TestDatabase } from './database.ts';
import { ownRedisUrl } from './own-redis.ts';
import { type Service, startApi, startRelay } from './processes.ts';

/** A database, a topic of the test's own, and whatever API and relay processes it starts on them. */
export interface System {
  readonly database: TestDatabase;
  readonly topic: string;
  startApi(env?: Record<string, string>): Promise<ApiProcess>;
  startRelay(env?: Record<string, string>): Promise<Service>;
  /** Stops everything that is still running and lets go of the database. */
  close(): Promise<void>;
}

export interface ApiProcess extends Service {
  readonly client: LedgerClient;
  readonly address: string;
}

export interface Addresses {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly kafkaBrokers: string;
}

/** Limits that never bite, for tests of other things. */
const UNLIMITED = { RATE_LIMIT_CAPACITY: '1000000', RATE_LIMIT_REFILL_PER_SECOND: '1000000' };

/** A system on a new database of the shared servers, which goes when it is closed; its processes run as the application role. */
export async function createSystem({ kafkaBrokers = inject('kafkaBrokers') } = {}): Promise<System> {
  const database = await createDatabase();
  const servers = { redisUrl: ownRedisUrl(), kafkaBrokers };
  return buildSystem({ databaseUrl: applicationAddress(database.url), ...servers }, database);
}

/** A system on servers that the test has to itself, with a database that is migrated. */
export function systemOn(addresses: Addresses): System {
  return buildSystem(addresses, openDatabase(addresses.databaseUrl));
}

function buildSystem({ databaseUrl, redisUrl, kafkaBrokers }: Addresses, database: TestDatabase): System {
  const topic = `payment.events.${randomUUID()}`;
  const shared = {
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    KAFKA_BROKERS: kafkaBrokers,
    KAFKA_TOPIC: topic,
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
      await database.close();
    },
  };
}
