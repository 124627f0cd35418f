import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { createEmptyDatabase, execute } from '../support/empty-database.ts';
import { health } from '../support/health.ts';
import { ownRedisUrl } from '../support/own-redis.ts';
import { startApi, startRelay } from '../support/processes.ts';

const migrations = (await readdir(new URL('../../migrations/', import.meta.url))).sort();
const last = migrations.at(-1)!;

let name: string;
let url: string;

beforeEach(() => {
  name = `test_${randomUUID().replaceAll('-', '')}`;
  const address = new URL(inject('databaseUrl'));
  address.pathname = `/${name}`;
  url = address.href;
});
afterEach(() => execute(inject('databaseUrl'), `drop database if exists ${name} with (force)`));

const createUnmigrated = () => createEmptyDatabase(inject('databaseUrl'), name);
const createMigrated = () => createEmptyDatabase(inject('databaseUrl'), name, inject('databaseTemplate'));

const env = () => ({
  DATABASE_URL: applicationAddress(url),
  REDIS_URL: ownRedisUrl(),
  KAFKA_BROKERS: inject('kafkaBrokers'),
  KAFKA_TOPIC: `payment.events.${randomUUID()}`,
});

describe.each([
  ['API', startApi],
  ['relay', startRelay],
])('the %s', (_name, start) => {
  /** What it said before it ended by itself. */
  const lastWords = async (): Promise<string> => {
    const service = await start(env()).catch((error: Error) => error);
    if (service instanceof Error) return service.message;
    await service.stop();
    throw new Error('It started');
  };

  test('ends on a database that was never migrated, and says how to migrate it', async () => {
    await createUnmigrated();
    const said = await lastWords();
    expect(said).toMatch(/ended with 1:/);
    for (const each of [...migrations, 'npm run migrate']) expect(said).toContain(each);
  });

  test('ends if the last migration is missing, and names it', async () => {
    await createMigrated();
    await execute(url, `delete from schema_migrations where name = '${last}'`);
    const said = await lastWords();
    expect(said).toContain(`lacks ${last}: its last migration is ${migrations.at(-2)}`);
    expect(said).toContain('npm run migrate');
  });

  test('goes on with a database that is newer, and warns of it', async () => {
    await createMigrated();
    await execute(url, `insert into schema_migrations (name, checksum) values ('9999_later.sql', 'x')`);
    const service = await start(env());
    await service.stop();
    const warnings = service.log.filter((line) => line.includes('"level":"warn"') && line.includes('9999_later.sql'));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(last);
  });
});

describe('an API that is started before its database', () => {
  test('serves once the database is there', async () => {
    const api = await startApi(env());
    const address = String(api.ready['address']);
    expect(await health(address)).toBe('NOT_SERVING');
    await createMigrated();
    while ((await health(address)) !== 'SERVING') await pause(100);
    await api.stop();
  });

  test('ends once the database turns out not to be migrated', async () => {
    const api = await startApi(env());
    const ended = once(api.child, 'exit');
    await createUnmigrated();
    expect(await ended).toEqual([1, null]);
    expect(api.log.join('\n')).toContain('npm run migrate');
  });
});
