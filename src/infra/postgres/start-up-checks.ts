import type pg from 'pg';
import { excessPrivileges } from './privileges.ts';
import { compareSchema } from './schema-version.ts';

export interface StartUpReport {
  /** Of what does not keep the process from running. */
  warn(message: string): void;
  /** Ends the process: with this database it cannot work, or must not. */
  fatal(message: string): never;
}

/**
 * Looks once whether the database has the schema that this code needs, and whether its role can get round the rules of
 * the books, which is fatal where least privilege is required. The function returned rejects while the database is
 * unreachable and is to be called again; once it has succeeded it does nothing.
 */
export function startUpChecks(
  pool: pg.Pool,
  { leastPrivilege, report }: { readonly leastPrivilege: boolean; readonly report: StartUpReport },
): () => Promise<void> {
  let passed = false;
  return async () => {
    if (passed) return;
    const { missing, newer } = await compareSchema(pool);
    if (missing !== undefined) report.fatal(missing);
    const excess = await excessPrivileges(pool);
    if (excess !== undefined && leastPrivilege) report.fatal(excess);
    // Two calls may overlap; only the first to end warns.
    if (passed) return;
    passed = true;
    for (const warning of [newer, excess]) if (warning !== undefined) report.warn(warning);
  };
}
