import pg from 'pg';
import { migrate } from '../src/cli/migrate.ts';

/** A database made for a benchmark, with a connection to look into it. */
export interface BenchDatabase {
  readonly name: string;
  readonly url: string;
  readonly client: pg.Client;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** A database to copy, with nobody connected; without one the new database is migrated. */
  readonly template?: BenchDatabase;
  /** Nothing in it at all, for somebody else's tables. */
  readonly empty?: boolean;
}

/** Makes the database anew on the server. */
export async function createDatabase(
  serverUrl: string,
  name: string,
  { template, empty = false }: DatabaseOptions = {},
): Promise<BenchDatabase> {
  const server = await connect(serverUrl);
  try {
    await server.query(`drop database if exists ${name} with (force)`);
    await server.query(`create database ${name}${template === undefined ? '' : ` template ${template.name}`}`);
  } finally {
    await server.end();
  }
  const address = new URL(serverUrl);
  address.pathname = `/${name}`;
  const url = address.href;
  if (template === undefined && !empty) await migrate(url);
  const client = await connect(url);
  return { name, url, client, close: () => client.end() };
}

/** Drops the databases that createDatabase made on the server. */
export async function dropDatabases(serverUrl: string, names: readonly string[]): Promise<void> {
  const server = await connect(serverUrl);
  try {
    for (const name of names) await server.query(`drop database if exists ${name} with (force)`);
  } finally {
    await server.end();
  }
}

export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  await client.connect();
  return client;
}

const DURABLE: Readonly<Record<string, string>> = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
};

/** The settings a result depends on. Throws if any of them makes commits less than durable. */
export async function durableSettings(url: string): Promise<Record<string, string>> {
  const client = await connect(url);
  try {
    const names = [...Object.keys(DURABLE), 'wal_sync_method', 'shared_buffers', 'max_wal_size', 'checkpoint_timeout'];
    const { rows } = await client.query<{ name: string; value: string }>(
      'select name, current_setting(name) as value from unnest($1::text[]) as name',
      [names],
    );
    for (const { name, value } of rows) {
      const wanted = DURABLE[name];
      if (wanted !== undefined && value !== wanted) {
        throw new Error(
          `Postgres has ${name} = ${value}: what it commits might be lost, so there is nothing to measure.`,
        );
      }
    }
    return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
  } finally {
    await client.end();
  }
}
