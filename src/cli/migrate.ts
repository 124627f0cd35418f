import pg from 'pg';
import { DEFAULT_ROLES, grantRoles, type RoleNames } from '../infra/postgres/roles.ts';
import {
  type AppliedMigration,
  appliedMigrations,
  MIGRATIONS,
  type Migration,
  readMigrations,
} from '../infra/postgres/schema-version.ts';
import { type LockPatience, TableLocks } from './table-locks.ts';

/** Any number will do, as long as nothing else in the database locks it. */
const LOCK = 7_204_157_331;
const LOCK_POLL_MS = 100;

/**
 * Brings the database's schema up to date and returns the names of the migrations
 * it applied. Each commits on its own, so a run that broke off resumes where it
 * stopped; a session lock makes replicas that start together take turns. At the end,
 * the application's and the reader's role are given their rights, whatever was applied.
 * Payments go on meanwhile: a lock that they need is asked for again and again, never
 * waited for in front of them.
 *
 * Throws if a migration that was applied has since been edited, renamed or removed,
 * or a new one sorts before it: the schema would not be what the files say; and if a
 * session keeps a table locked for longer than patience allows.
 */
export async function migrate(
  databaseUrl: string,
  onProgress: (message: string) => void = () => undefined,
  folder: URL = MIGRATIONS,
  roles: RoleNames = DEFAULT_ROLES,
  patience?: LockPatience,
): Promise<string[]> {
  const client = await connect(databaseUrl, 'payment-ledger-migrate');
  const watcher = await connect(databaseUrl, 'payment-ledger-migrate-watcher').catch(async (error) => {
    await client.end();
    throw error;
  });
  try {
    const locks = new TableLocks(client, watcher, onProgress, patience);
    // The lock ends with the session, however it ends.
    await takeLock(client);
    await client.query(`create table if not exists schema_migrations (
      name text primary key, checksum text not null, applied_at timestamptz not null default now())`);
    const pending = unapplied(await readMigrations(folder), await appliedMigrations(client));
    for (const migration of pending) {
      onProgress(`applying ${migration.name}`);
      await apply(client, migration, locks);
    }
    await client.query('reset lock_timeout');
    const left = await grantRoles(client, roles);
    if (left.length > 0) {
      onProgress(
        `The role that migrates may not do this; let an administrator do it, then migrate again:\n${left.map((each) => `  ${each};`).join('\n')}`,
      );
    }
    return pending.map(({ name }) => name);
  } finally {
    await Promise.all([client.end(), watcher.end()]);
  }
}

async function connect(connectionString: string, application_name: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, application_name, connectionTimeoutMillis: 10_000 });
  // The query that is under way, or the next one, fails with it.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

function unapplied(migrations: readonly Migration[], applied: readonly AppliedMigration[]): readonly Migration[] {
  for (const [index, { name, checksum }] of applied.entries()) {
    const file = migrations[index];
    if (file?.name !== name) {
      throw new Error(
        `Migration ${name} was applied to this database, but ${file?.name ?? 'nothing'} stands in its place in migrations/. ` +
          'Restore the file; a new migration takes the next number.',
      );
    }
    if (file.checksum !== checksum) {
      throw new Error(
        `Migration ${name} was edited after it was applied to this database. ` +
          'Restore it as it was, and put the change into a new migration.',
      );
    }
  }
  return migrations.slice(applied.length);
}

/** Asks again and again: a statement that waited for the lock would itself keep an index from being built. */
async function takeLock(client: pg.Client): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [LOCK]);
    if (rows[0]?.taken) return;
    await new Promise((resume) => setTimeout(resume, LOCK_POLL_MS));
  }
}

/** A migration that begins so has statements of which each commits by itself; run again, it must come to the same. */
const WITHOUT_TRANSACTION = '-- Without a transaction';

/** What waits for transactions to end, but has no payment wait behind it: a lock timeout would only break it off. */
const AT_LEISURE =
  /^\s*(create\s+(unique\s+)?index\s+concurrently\s|drop\s+index\s+concurrently\s|alter\s+table\s+\S+\s+validate\s+constraint\s+\S+\s*$)/i;

async function apply(client: pg.Client, { name, sql, checksum }: Migration, locks: TableLocks): Promise<void> {
  if (sql.startsWith(WITHOUT_TRANSACTION)) await applyEach(client, name, sql, locks);
  try {
    await locks.briefly(name, async () => {
      await client.query('begin');
      try {
        if (!sql.startsWith(WITHOUT_TRANSACTION)) await client.query(sql);
        await client.query('insert into schema_migrations (name, checksum) values ($1, $2)', [name, checksum]);
        await client.query('commit');
      } catch (error) {
        await client.query('rollback');
        throw error;
      }
    });
  } catch (error) {
    throw new Error(`Migration ${name} failed and was rolled back: ${(error as Error).message}`, { cause: error });
  }
}

async function applyEach(client: pg.Client, name: string, sql: string, locks: TableLocks): Promise<void> {
  const statements = sql.replaceAll(/^--.*$/gm, '').split(/;\s*$/m);
  try {
    for (const statement of statements.filter((each) => each.trim() !== '')) {
      const run = async () => {
        await client.query(statement);
      };
      await (AT_LEISURE.test(statement) ? locks.atLeisure(name, run) : locks.briefly(name, run));
    }
  } catch (error) {
    throw new Error(`Migration ${name} failed half-way and goes on when it is run again: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
