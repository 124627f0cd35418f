import type pg from 'pg';

/** A session that keeps another one from a lock. */
export interface Blocker {
  /** 0 is a prepared transaction. */
  readonly pid: number;
  readonly userName: string | null;
  readonly applicationName: string | null;
  readonly state: string | null;
  readonly transactionBegan: Date | null;
  /** Null, or what Postgres puts in its place, where this connection may not see it. */
  readonly query: string | null;
  /** The table that is waited for; null if it is no table, but the end of the transaction. */
  readonly table: string | null;
  /** The table, if the session works on it as a vacuum or the building of an index does, which payments go on beside. */
  readonly asideOf: string | undefined;
}

const BLOCKERS = `
  select blocking.pid, usename as "userName", application_name as "applicationName", state,
    xact_start as "transactionBegan", left(regexp_replace(query, '\\s+', ' ', 'g'), 200) as query,
    wanted.relation::regclass::text as "table",
    exists (
      select from pg_locks kept
      where kept.pid = blocking.pid and kept.database = wanted.database and kept.relation = wanted.relation
        and kept.granted and kept.mode = 'ShareUpdateExclusiveLock'
    ) as aside
  -- This look is a transaction too, which the building of an index may wait for.
  from (select distinct pid from unnest(pg_blocking_pids($1)) as pid where pid <> pg_backend_pid()) as blocking
  left join pg_stat_activity using (pid)
  -- None is left if it has the lock by now.
  join pg_locks wanted on wanted.pid = $1 and not wanted.granted
  order by xact_start nulls first`;

/** Who keeps the client's session from the lock that it waits for, by the watcher; the oldest transaction first. */
export async function blockersOf(watcher: pg.Client, client: pg.Client): Promise<Blocker[]> {
  const { rows } = await watcher.query<Omit<Blocker, 'asideOf'> & { aside: boolean }>(BLOCKERS, [
    (client as pg.Client & { processID: number }).processID,
  ]);
  return rows.map(({ aside, ...row }) => ({ ...row, asideOf: aside && row.table !== null ? row.table : undefined }));
}

/** Such as: session 4711 (psql of alice, idle in transaction, began 2026-01-31T10:00:00.000Z: "select …") keeps a lock on payments. */
export function described({ pid, userName, applicationName, state, transactionBegan, query, table }: Blocker): string {
  const kept = table === null ? 'has a transaction that began before' : `keeps a lock on ${table}`;
  if (pid === 0) return `a prepared transaction (see pg_prepared_xacts) ${kept}`;
  const about = [
    `${applicationName || 'unnamed'} of ${userName ?? 'Postgres itself'}`,
    state,
    transactionBegan && `began ${transactionBegan.toISOString()}`,
  ].filter((part) => part !== null);
  return `session ${pid} (${about.join(', ')}${query ? `: "${query}"` : ''}) ${kept}`;
}
