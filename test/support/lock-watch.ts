import pg from 'pg';

/** One time that a session kept others from writing to a table, or would have. */
export interface KeptLock {
  /** What it ran, as Postgres shows it: the first 1,024 bytes. */
  readonly query: string;
  readonly table: string;
  readonly mode: string;
  /** From when it queued until it had the lock or gave up; whoever came after it waited behind it. */
  readonly queuedMs: number;
  /** From when it had the lock until it gave it back; at most, as samples are some milliseconds apart. */
  readonly heldMs: number;
  /** The longest time for which another session had waited for the table meanwhile. */
  readonly othersWaitedMs: number;
}

export interface LockWatch {
  /** Ends the watch: what the session kept, in order, and how far two samples were apart at most. */
  stop(): Promise<{ kept: KeptLock[]; longestGapMs: number }>;
}

/** What writers wait for: payments take ROW EXCLUSIVE. */
const EXCLUDES_WRITERS = ['ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'];

interface Sample {
  /** In milliseconds, as is previous: when the sample before was taken. */
  readonly at: number;
  readonly previous: number;
  readonly query: string | null;
  readonly locks: readonly { table: string; mode: string; granted: boolean; mine: boolean; waited: number | null }[];
}

/**
 * Looks every two milliseconds at the locks that sessions of an application keep on those
 * tables of a database which are there now. The looking is done by Postgres, so that a busy
 * test misses nothing, and from another database, as the building of an index waits for
 * every snapshot of its own.
 */
export async function watchLocks(database: string, elsewhere: string, applicationName: string): Promise<LockWatch> {
  const tables = await tablesOf(database);
  const watcher = new pg.Client({ connectionString: elsewhere, application_name: 'lock-watch' });
  await watcher.connect();
  const samples: Sample[] = [];
  watcher.on('notice', ({ message }) => samples.push(JSON.parse(message!)));
  let stopping = false;
  const watched = watcher
    .query(sampler(new URL(database).pathname.slice(1), tables, applicationName))
    .catch((error) => {
      if (!stopping) throw error;
    });
  return {
    async stop() {
      stopping = true;
      const client = new pg.Client({ connectionString: elsewhere });
      await client.connect();
      const { processID } = watcher as pg.Client & { processID: number };
      await client.query('select pg_cancel_backend($1)', [processID]);
      await client.end();
      await watched;
      await watcher.end();
      return {
        kept: keptLocks(samples),
        longestGapMs: Math.max(0, ...samples.map(({ at, previous }) => at - previous)),
      };
    },
  };
}

async function tablesOf(database: string): Promise<Record<string, string>> {
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  const { rows } = await client.query<{ oid: number; name: string }>(
    "select oid::int, relname as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace",
  );
  await client.end();
  return Object.fromEntries(rows.map(({ oid, name }) => [oid, name]));
}

function sampler(database: string, tables: Record<string, string>, applicationName: string): string {
  return `
    do $sampler$
    declare
      target oid := (select oid from pg_database where datname = '${database}');
      names jsonb := '${JSON.stringify(tables)}';
      previous float8;
      moment float8 := extract(epoch from clock_timestamp()) * 1000;
      busy boolean := false;
      locks jsonb;
      session int;
      running text;
    begin
      loop
        perform pg_sleep(0.002);
        perform pg_stat_clear_snapshot();
        session := null;
        select pid, query into session, running from pg_stat_activity
        where datid = target and application_name = '${applicationName}';
        previous := moment;
        moment := extract(epoch from clock_timestamp()) * 1000;
        locks := null;
        if session is not null then
          select jsonb_agg(jsonb_build_object('table', names ->> relation::text, 'mode', mode, 'granted', granted,
            'mine', pid = session, 'waited', moment - extract(epoch from waitstart) * 1000)) into locks
          from pg_locks
          where locktype = 'relation' and database = target and names ? relation::text
            and (not granted or (pid = session and mode = any('{${EXCLUDES_WRITERS.join(',')}}')));
        end if;
        -- The one after the last as well: it says by when the locks were given back. And those
        -- that came late, on a busy machine, so that it is known what may have been missed.
        if locks is not null or busy or moment - previous > 20 then
          raise notice '%', jsonb_build_object('at', moment, 'previous', previous, 'query', running, 'locks', coalesce(locks, '[]'));
        end if;
        busy := locks is not null;
      end loop;
    end $sampler$`;
}

type Open = { -readonly [Key in keyof KeptLock]: KeptLock[Key] } & { heldSince: number | undefined };

function keptLocks(samples: readonly Sample[]): KeptLock[] {
  const kept: KeptLock[] = [];
  const open = new Map<string, Open>();
  for (const { at, previous, query, locks } of samples) {
    const mine = new Map(
      locks.filter(({ mine, mode }) => mine && EXCLUDES_WRITERS.includes(mode)).map((lock) => [lock.table, lock]),
    );
    for (const [table, { heldSince, ...lock }] of open) {
      if (mine.has(table)) continue;
      kept.push({ ...lock, heldMs: heldSince === undefined ? 0 : at - heldSince });
      open.delete(table);
    }
    for (const [table, { mode, granted, waited }] of mine) {
      const lock = open.get(table) ?? {
        ...{ query: query ?? '', table, mode, queuedMs: 0, heldMs: 0, othersWaitedMs: 0, heldSince: undefined },
      };
      if (!granted) lock.queuedMs = Math.max(lock.queuedMs, waited ?? 0);
      else lock.heldSince ??= previous;
      for (const other of locks) {
        if (!other.mine && other.table === table)
          lock.othersWaitedMs = Math.max(lock.othersWaitedMs, other.waited ?? 0);
      }
      open.set(table, lock);
    }
  }
  return kept;
}
