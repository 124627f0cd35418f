import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import type { Connection } from './statement.ts';

/** Where this code's migrations are. */
export const MIGRATIONS = new URL('../../../migrations/', import.meta.url);

const UNDEFINED_TABLE = '42P01';

export interface Migration extends AppliedMigration {
  readonly sql: string;
}

export interface AppliedMigration {
  /** The file's name, such as 0001_accounts.sql. */
  readonly name: string;
  /** SHA-256 of the file, in hexadecimal. */
  readonly checksum: string;
}

/** The migrations in the folder, in the order in which they are applied. */
export async function readMigrations(folder: URL): Promise<Migration[]> {
  return Promise.all(
    (await migrationNames(folder)).map(async (name) => {
      const sql = await readFile(new URL(name, folder), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

/** What was applied to the database, in that order; nothing if it was never migrated. */
export async function appliedMigrations(connection: Connection): Promise<AppliedMigration[]> {
  try {
    const { rows } = await connection.query<AppliedMigration>(
      'select name, checksum from schema_migrations order by name collate "C"',
    );
    return rows;
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === UNDEFINED_TABLE) return [];
    throw error;
  }
}

/** How the database's schema differs from what this code was written for. */
export interface SchemaDifference {
  /** What keeps this code from working: a sentence that says how to help; undefined if there is nothing. */
  readonly missing: string | undefined;
  /** That the database was migrated by newer code: a sentence; undefined if it was not. */
  readonly newer: string | undefined;
}

export async function compareSchema(connection: Connection): Promise<SchemaDifference> {
  const needed = await migrationNames(MIGRATIONS);
  const applied = (await appliedMigrations(connection)).map(({ name }) => name);
  const missing = needed.filter((name) => !applied.includes(name));
  const unknown = applied.filter((name) => !needed.includes(name));
  return {
    missing:
      missing.length === 0
        ? undefined
        : `The database lacks ${missing.join(', ')}: its last migration is ${applied.at(-1) ?? 'none'}, and this code ` +
          `needs ${needed.at(-1)}. Run npm run migrate (in the image: node src/cli/main.ts migrate) with DATABASE_URL ` +
          'for the owner of the tables, then start this again.',
    newer:
      unknown.length === 0
        ? undefined
        : `The database is newer than this code: it has ${unknown.join(', ')}, and the last migration here is ` +
          `${needed.at(-1)}. Migrations only add, so this goes on; it should be replaced by the newer code.`,
  };
}

async function migrationNames(folder: URL): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
}
