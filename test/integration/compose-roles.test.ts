import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { migrate } from '../../src/cli/migrate.ts';
import { onFreePorts } from '../../tools/stack/free-port.ts';
import { startPostgres } from '../../tools/stack/postgres.ts';
import type { Server } from '../../tools/stack/server.ts';
import { removeData } from '../../tools/stack/stack.ts';
import { execute } from '../support/empty-database.ts';
import { ownRedisUrl } from '../support/own-redis.ts';
import { startApi } from '../support/processes.ts';

// Roles belong to a whole server, so the file that makes them needs one of its own.
let folder: string;
let postgres: Server;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'payment-ledger-roles-'));
  postgres = await onFreePorts(1, ([port]) => startPostgres(join(folder, 'postgres'), port!));
  await execute(postgres.address, await readFile(new URL('../../deploy/postgres/roles.sql', import.meta.url), 'utf8'));
});

afterAll(async () => {
  await postgres?.stop();
  await removeData(folder);
  await rm(folder, { recursive: true, force: true });
});

function as(user: string): string {
  const url = new URL(postgres.address);
  url.username = user;
  return url.href;
}

test('the roles of docker-compose.yml migrate, serve and read, each with its own rights and no more', async () => {
  const said: string[] = [];
  await migrate(as('ledger_owner'), (message) => said.push(message));
  expect(said.filter((message) => !message.startsWith('applying '))).toEqual([]);

  const api = await startApi({
    DATABASE_URL: as('ledger_application'),
    REDIS_URL: ownRedisUrl(),
    REQUIRE_LEAST_PRIVILEGE: '1',
  });
  expect(await api.stop()).toBe(0);

  await execute(as('ledger_reader'), 'select * from payments');
  await expect(execute(as('ledger_reader'), `delete from accounts`)).rejects.toThrow('permission denied');
  await expect(execute(as('ledger_owner'), 'create role another')).rejects.toThrow('permission denied');
});
