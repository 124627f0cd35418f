import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { migrate } from '../../src/cli/migrate.ts';
import { excessPrivileges } from '../../src/infra/postgres/privileges.ts';
import { APPLICATION_GRANTS } from '../../src/infra/postgres/roles.ts';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { openDatabase, type TestDatabase } from '../support/database.ts';
import { createEmptyDatabase, execute } from '../support/empty-database.ts';
import { ownRedisUrl } from '../support/own-redis.ts';
import { startApi, startRelay } from '../support/processes.ts';

const name = `test_${randomUUID().replaceAll('-', '')}`;
let owner: TestDatabase;
let application: TestDatabase;

beforeAll(async () => {
  const url = await createEmptyDatabase(inject('databaseUrl'), name);
  await migrate(url);
  owner = openDatabase(url);
  application = openDatabase(applicationAddress(url));
});
afterAll(async () => {
  await Promise.all([owner.close(), application.close()]);
  await execute(inject('databaseUrl'), `drop database ${name} with (force)`);
});

test('every table has its grants', async () => {
  const tables = await owner.query<{ tablename: string }>(
    `select tablename from pg_tables where schemaname = 'public'`,
  );
  expect(tables.map(({ tablename }) => tablename).sort()).toEqual(Object.keys(APPLICATION_GRANTS).sort());
});

describe('the application role may not', () => {
  const books = ['accounts', 'account_balances', 'payments', 'ledger_entries'];
  test.each([
    ...books.flatMap((table) => [`delete from ${table}`, `truncate ${table}`, `drop table ${table}`]),
    ...books.map((table) => `alter table ${table} disable trigger all`),
    `update accounts set overdraft_limit_cents = 1`,
    `update payments set amount_cents = 1`,
    `update ledger_entries set amount_cents = 1`,
    `update account_balances set currency = 'USD'`,
    `update account_balances set overdraft_limit_cents = null`,
    `insert into account_balances (account_id, available_cents) values ('a', 5)`,
    `update idempotency_keys set payment_id = gen_random_uuid()`,
    `truncate idempotency_keys`,
    `truncate outbox`,
    `update outbox set payload = '{}'`,
    `delete from outbox_shards`,
    `delete from schema_migrations`,
    `set session_replication_role = replica`,
    `create temporary table accounts (account_id text)`,
    `create table public.x ()`,
    `create or replace function public.check_ledger_entries() returns trigger language plpgsql as 'begin end'`,
    `set role ledger`,
  ])('%s', async (statement) => {
    await expect(application.query(statement)).rejects.toThrow(/permission denied|must be owner/);
  });
});

test('the reader role reads everything and writes nothing', async () => {
  const rights = await owner.query<{ reads: boolean; writes: boolean }>(
    `select bool_and(has_table_privilege('payment_ledger_reader', format('public.%I', tablename), 'SELECT')) as reads,
       bool_or(has_any_column_privilege('payment_ledger_reader', format('public.%I', tablename), 'INSERT, UPDATE')
         or has_table_privilege('payment_ledger_reader', format('public.%I', tablename), 'DELETE, TRUNCATE')) as writes
     from pg_tables where schemaname = 'public'`,
  );
  expect(rights).toEqual([{ reads: true, writes: false }]);
});

test('the application role vacuums the outbox', async () => {
  const client = await application.pool.connect();
  const notices: string[] = [];
  const note = ({ message }: { message?: string | undefined }) => notices.push(message ?? '');
  client.on('notice', note as (notice: pg.Notification | object) => void);
  await client.query('vacuum (skip_locked) outbox');
  client.release(true);
  expect(notices).toEqual([]);
});

test('migrating again takes back what was granted by hand', async () => {
  await owner.query(`grant delete on payments to payment_ledger_application`);
  expect(await excessPrivileges(application.pool)).toContain('may delete from or truncate payments');
  await migrate(owner.url);
  expect(await excessPrivileges(application.pool)).toBeUndefined();
});

test('a role that may not create roles prints what an administrator has to run', async () => {
  const [role, missing, database] = [1, 2, 3].map(() => `test_${randomUUID().replaceAll('-', '')}`) as [
    string,
    string,
    string,
  ];
  await execute(inject('databaseUrl'), `create role ${role} login password 'x'`);
  const url = new URL(await createEmptyDatabase(inject('databaseUrl'), database));
  try {
    await execute(url.href, `grant create on schema public to ${role}`);
    url.username = role;
    url.password = 'x';
    const messages: string[] = [];
    await migrate(url.href, (message) => messages.push(message), undefined, {
      application: missing,
      reader: 'payment_ledger_reader',
    });
    const said = messages.join('\n');
    expect(said).toContain(`create role "${missing}" nologin;`);
    expect(said).toContain(`revoke temporary on database ${database} from public;`);
  } finally {
    await execute(inject('databaseUrl'), `drop database ${database} with (force)`);
    await execute(inject('databaseUrl'), `drop role ${role}`);
  }
});

test('a superuser can get round the rules, a member of the application role cannot', async () => {
  expect(await excessPrivileges(owner.pool)).toContain('ledger is a superuser');
  expect(await excessPrivileges(application.pool)).toBeUndefined();
});

describe.each([
  ['API', startApi],
  ['relay', startRelay],
])('the %s', (_name, start) => {
  const env = (url: string) => ({
    DATABASE_URL: url,
    REDIS_URL: ownRedisUrl(),
    KAFKA_BROKERS: inject('kafkaBrokers'),
    KAFKA_TOPIC: `payment.events.${randomUUID()}`,
  });

  test('warns when it starts as superuser', async () => {
    const service = await start(env(owner.url));
    await service.stop();
    expect(
      service.log.filter((line) => line.includes('is a superuser') && line.includes('"level":"warn"')),
    ).toHaveLength(1);
  });

  test('does not start as superuser if least privilege is required', async () => {
    await expect(start({ ...env(owner.url), REQUIRE_LEAST_PRIVILEGE: '1' })).rejects.toThrow('is a superuser');
  });

  test('starts as the application role if least privilege is required', async () => {
    const service = await start({ ...env(application.url), REQUIRE_LEAST_PRIVILEGE: '1' });
    await service.stop();
  });
});
