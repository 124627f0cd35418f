import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { migrate } from '../../src/cli/migrate.ts';
import { createApplicationLogin } from '../../tools/stack/postgres.ts';
import { removeData, startStack } from '../../tools/stack/stack.ts';
import { createEmptyDatabase, execute } from './empty-database.ts';

declare module 'vitest' {
  interface ProvidedContext {
    databaseUrl: string;
    databaseTemplate: string;
    redisUrl: string;
    kafkaBrokers: string;
  }
}

/** Migrated once; createDatabase() copies it. */
const TEMPLATE = `payment_ledger_template_${process.pid}`;

/** The servers that integration and e2e tests share; each file makes its own database and topic on them. */
interface Servers {
  readonly databaseUrl: string;
  readonly redisUrl: string;
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
  const { databaseUrl, redisUrl, kafkaBrokers, stop } = await servers.started;
  project.provide('databaseUrl', databaseUrl);
  project.provide('databaseTemplate', TEMPLATE);
  project.provide('redisUrl', redisUrl);
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
