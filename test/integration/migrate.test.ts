import { randomUUID } from 'node:crypto';
import { copyFile, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { migrate } from '../../src/cli/migrate.ts';
import { createEmptyDatabase, execute } from '../support/empty-database.ts';

const released = new URL('../../migrations/', import.meta.url);
let folder: URL;
let url: string;

beforeEach(async () => {
  folder = pathToFileURL(`${await mkdtemp(`${tmpdir()}/migrations-`)}/`);
  for (const name of await readdir(released)) await copyFile(new URL(name, released), new URL(name, folder));
  url = await createEmptyDatabase(inject('databaseUrl'), `test_${randomUUID().replaceAll('-', '')}`);
});

afterEach(async () => {
  await rm(folder, { recursive: true });
  await execute(inject('databaseUrl'), `drop database ${new URL(url).pathname.slice(1)} with (force)`);
});

const INSERT = `
  insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
    decline_code, decline_message, created_at)
  values (gen_random_uuid(), $1, 'payee', 1, 'RUB', 'DECLINED', '', 'X', 'x', now())`;

const run = () => migrate(url, undefined, folder);

test('replicas that start together apply each migration once', async () => {
  const applied = await Promise.all([run(), run(), run(), run()]);
  expect(applied.flat().sort()).toEqual((await readdir(released)).sort());
  expect(await run()).toEqual([]);
});

test('a failed migration leaves no trace and the next run resumes there', async () => {
  const broken = new URL('9000_broken.sql', folder);
  await writeFile(broken, 'create table half_done (); select 1 / 0;');
  await expect(run()).rejects.toThrow('9000_broken.sql failed and was rolled back: division by zero');
  await writeFile(broken, 'create table half_done ();');
  expect(await run()).toEqual(['9000_broken.sql']);
});

test('a migration without a transaction keeps what it did when it breaks off, and goes on when it is run again', async () => {
  const slow = new URL('9000_slow.sql', folder);
  const first =
    '-- Without a transaction\n-- A comment; with a semicolon;\ncreate table if not exists first (n int);\n';
  await writeFile(slow, `${first}select 1 / 0;\n`);
  await expect(run()).rejects.toThrow(
    '9000_slow.sql failed half-way and goes on when it is run again: division by zero',
  );
  await writeFile(
    slow,
    `${first}drop index concurrently if exists late;\ncreate index concurrently late on first (n);\n`,
  );
  expect((await Promise.all([run(), run(), run()])).flat()).toEqual(['9000_slow.sql']);
});

test('an index that is built while a payment is under way keeps nobody from paying', async () => {
  await run();
  await writeFile(
    new URL('9000_index.sql', folder),
    '-- Without a transaction\ncreate index concurrently late on payments (currency);\n',
  );
  const payment = new pg.Client(url);
  await payment.connect();
  await payment.query('begin');
  await payment.query(INSERT, ['a']);
  const migrated = run();
  // It waits for the payment, and another one does not wait for it.
  const other = new pg.Client(url);
  await other.connect();
  await other.query("set statement_timeout = '5s'");
  await new Promise((resume) => setTimeout(resume, 500));
  await other.query(INSERT, ['b']);
  await payment.query('commit');
  expect(await migrated).toEqual(['9000_index.sql']);
  await Promise.all([payment.end(), other.end()]);
});

test('an edited migration is rejected', async () => {
  await run();
  await writeFile(new URL('0001_accounts.sql', folder), 'select 1;');
  await expect(run()).rejects.toThrow('0001_accounts.sql was edited');
});

test('a removed migration is rejected', async () => {
  await run();
  await rename(new URL('0002_payments.sql', folder), new URL('0002_renamed.sql', folder));
  await expect(run()).rejects.toThrow('0002_payments.sql was applied');
});

test('a new migration that sorts before an applied one is rejected', async () => {
  await run();
  await writeFile(new URL('0000_late.sql', folder), 'select 1;');
  await expect(run()).rejects.toThrow('0001_accounts.sql was applied');
});
