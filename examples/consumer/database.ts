import { readFile } from 'node:fs/promises';
import pg from 'pg';

const SCHEMA = new URL('schema.sql', import.meta.url);
const NO_SUCH_DATABASE = '3D000';
const DATABASE_EXISTS = '42P04';

/** A pool on the database, which is created with its tables if it is missing. */
export async function openDatabase(url: string): Promise<pg.Pool> {
  await createSchema(url).catch(async (error: unknown) => {
    if (!(error instanceof pg.DatabaseError) || error.code !== NO_SUCH_DATABASE) throw error;
    await createDatabase(url);
    await createSchema(url);
  });
  const pool = new pg.Pool({ connectionString: url });
  // It opens another connection for the next event; without this the process would end.
  pool.on('error', (error) => console.error(`Postgres closed an idle connection: ${error.message}`));
  return pool;
}

async function createSchema(url: string): Promise<void> {
  const schema = await readFile(SCHEMA, 'utf8');
  // Of two consumers that start at once, one creates the tables. The lock goes with the transaction.
  await query(url, `begin; select pg_advisory_xact_lock(hashtext('account-views')); ${schema}; commit`);
}

async function createDatabase(url: string): Promise<void> {
  const name = decodeURIComponent(new URL(url).pathname.slice(1));
  const server = new URL(url);
  server.pathname = '/postgres';
  await query(server.href, `create database ${pg.escapeIdentifier(name)}`).catch((error: unknown) => {
    if (!(error instanceof pg.DatabaseError) || error.code !== DATABASE_EXISTS) throw error;
  });
}

async function query(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
