import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { migrate } from '../../src/cli/migrate.ts';
import { createApplicationLogin } from '../../tools/stack/postgres.ts';
import { REDIS_DATABASES } from '../../tools/stack/redis.ts';
import { removeData, startStack } from '../../tools/stack/stack.ts';
import { createEmptyDatabase, execute } from './empty-database.ts';

declare module 'vitest' {
  interface ProvidedContext {
    databaseUrl: string;
    databaseTemplate: string;
    redisUrl: string;
    redisDatabases: number;
    kafkaBrokers: string;
  }
}

/** What a server that is not ours has, unless it was told otherwise. */
const REDIS_DEFAULT_DATABASES = 16;

/** Migrated once; createDatabase() copies it. */
const TEMPLATE = `payment_ledger_template_${process.pid}`;

/** The servers that integration and e2e tests share; each file has its own database and topic on them. */
interface Servers {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly redisDatabases: number;
  readonly kafkaBrokers: string;
  stop(): Promise<void>;
}

// Projects run this file each on their own, in one process: the first one starts the
// servers, the last one to be torn down stops them.
const shared = globalThis as { paymentLedgerServers?: { users: number; started: Promise<Servers> } };

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  shared.paymentLedgerServers ??= { users: 0, started: start() };
  const servers = shared.paymentLedgerServers;
  servers.users += 1;
  const { databaseUrl, redisUrl, redisDatabases, kafkaBrokers, stop } = await servers.started;
  project.provide('databaseUrl', databaseUrl);
  project.provide('databaseTemplate', TEMPLATE);
  project.provide('redisUrl', redisUrl);
  project.provide('redisDatabases', redisDatabases);
  project.provide('kafkaBrokers', kafkaBrokers);
  return async () => {
    servers.users -= 1;
    if (servers.users === 0) await stop();
  };
}

async function start(): Promise<Servers> {
  const dataDir = await mkdtemp(join(tmpdir(), 'payment-ledger-test-'));
  const stack = await startStack({ dataDir, onProgress: (message) => console.error(`test servers: ${message}`) });
  const servers = {
    databaseUrl: stack.postgres.address,
    redisUrl: stack.redis.address,
    redisDatabases: process.env['REDIS_URL'] ? REDIS_DEFAULT_DATABASES : REDIS_DATABASES,
    kafkaBrokers: stack.kafka.address,
    stop: async () => {
      await execute(stack.postgres.address, `drop database if exists ${TEMPLATE}`);
      await stack.stop();
      await removeData(dataDir);
    },
  };
  try {
    await migrate(await createEmptyDatabase(servers.databaseUrl, TEMPLATE));
    await createApplicationLogin(servers.databaseUrl);
    return servers;
  } catch (error) {
    await servers.stop();
    throw error;
  }
}
