import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { migrate } from '../../src/cli/migrate.ts';
import { createEmptyDatabase, execute } from '../support/empty-database.ts';
import { until } from '../support/traffic.ts';

// The tables stand for those of the books: what counts is who waits for whom.
const PAYMENTS = 'create table payments (n int); create table entries (n int);';
const PATIENT = { attemptMs: 50, pauseMs: 100, giveUpMs: 120_000 };

let folder: URL;
let url: string;
let other: pg.Client;
let payer: pg.Client;
let told: string[];

beforeEach(async () => {
  folder = pathToFileURL(`${await mkdtemp(`${tmpdir()}/migrations-`)}/`);
  url = await createEmptyDatabase(inject('databaseUrl'), `test_${randomUUID().replaceAll('-', '')}`);
  await write('0001_payments.sql', PAYMENTS);
  await migrate(url, undefined, folder);
  [other, payer] = await Promise.all([connect('report'), connect('payments')]);
  // Far more than a payment may wait for an attempt, far less than somebody keeps the lock.
  await payer.query("set lock_timeout = '10s'");
  told = [];
});

afterEach(async () => {
  await Promise.all([other.end(), payer.end()]);
  await rm(folder, { recursive: true });
  await execute(inject('databaseUrl'), `drop database ${new URL(url).pathname.slice(1)} with (force)`);
});

async function connect(application_name: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name });
  await client.connect();
  return client;
}

const write = (name: string, sql: string) => writeFile(new URL(name, folder), sql);
const run = (patience = PATIENT) => migrate(url, (message) => told.push(message), folder, undefined, patience);
const pay = () => payer.query('insert into payments values (1)');
const columns = async () =>
  (await payer.query("select attname from pg_attribute where attname = 'late'")).rows.map(({ attname }) => attname);

describe.each([
  ['in a transaction', ''],
  ['without a transaction', '-- Without a transaction\n'],
])('a migration %s', (_kind, begin) => {
  const ADD = `${begin}alter table payments add column if not exists late int;`;

  test('that somebody keeps from its lock lets payments go on, says who it is, and goes on after them', async () => {
    await other.query('begin');
    await other.query('select count(*) from payments');
    await write('0002_late.sql', ADD);
    const migrated = run();
    await until(async () => told.length === 2, 'a message that it waits');
    for (let n = 0; n < 20; n += 1) await pay();
    expect(await columns()).toEqual([]);
    await other.query('commit');
    expect(await migrated).toEqual(['0002_late.sql']);
    expect(await columns()).toEqual(['late']);
    expect(told[0]).toBe('applying 0002_late.sql');
    expect(told[1]).toMatch(
      /^0002_late.sql waits: session \d+ \(report of ledger, idle in transaction, began .*Z: "select count\(\*\) from payments"\) keeps a lock on payments; payments go on$/,
    );
  });

  test('fails when its patience is at an end, names who it is, and goes on when it is run again', async () => {
    await other.query('begin');
    await other.query('select from payments');
    await write('0002_late.sql', ADD);
    const { rows } = await other.query('select pg_backend_pid() as pid');
    await expect(run({ attemptMs: 50, pauseMs: 1, giveUpMs: 3_000 })).rejects.toThrow(
      new RegExp(
        `^Migration 0002_late.sql failed .*session ${rows[0].pid} \\(report .* keeps a lock on payments; no attempt in 3 s got it within 50 ms`,
      ),
    );
    await pay();
    await other.query('commit');
    expect(await run()).toEqual(['0002_late.sql']);
  });

  test('waits for a vacuum where no payment waits behind it', async () => {
    await other.query('begin');
    await other.query('lock table payments in share update exclusive mode');
    await write('0002_late.sql', ADD);
    const migrated = run();
    const aside = async () =>
      (await payer.query("select from pg_locks where not granted and mode = 'ShareUpdateExclusiveLock'")).rows.length >
      0;
    await until(aside, 'the migration waits as a vacuum does');
    for (let n = 0; n < 20; n += 1) await pay();
    expect(await aside()).toBe(true);
    await other.query('commit');
    expect(await migrated).toEqual(['0002_late.sql']);
  });
});

test('what a transaction did before it failed to get a lock is undone, and done again as a whole', async () => {
  await other.query('begin');
  await other.query('select from entries');
  await write(
    '0002_late.sql',
    'create table late (); alter table payments add column late int; alter table entries add column late int;',
  );
  const migrated = run();
  await until(async () => told.length === 2, 'a message that it waits');
  for (let n = 0; n < 20; n += 1) await pay();
  await other.query('commit');
  expect(await migrated).toEqual(['0002_late.sql']);
  expect(told[1]).toContain('keeps a lock on entries');
});

test('an index waits for a transaction for as long as that takes, says so, and is not broken off', async () => {
  await other.query('begin');
  await other.query('insert into payments values (1)');
  await write('0002_late.sql', '-- Without a transaction\ncreate index concurrently late on payments (n);\n');
  const migrated = run({ attemptMs: 1, pauseMs: 1, giveUpMs: 1 });
  await until(async () => told.length === 2, 'a message that it waits');
  await pay();
  await other.query('commit');
  expect(await migrated).toEqual(['0002_late.sql']);
  expect((await payer.query("select indisvalid from pg_index where indexrelid = 'late'::regclass")).rows).toEqual([
    { indisvalid: true },
  ]);
  expect(told[1]).toMatch(/waits: session .* has a transaction that began before; payments go on$/);
});

test('an error that is not about locks is not tried again', async () => {
  await write('0002_late.sql', "do $$ begin raise exception 'once'; end $$;");
  await expect(run()).rejects.toThrow('0002_late.sql failed and was rolled back: once');
});
