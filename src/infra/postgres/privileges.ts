import type pg from 'pg';

// session_user, for a session can always go back to it from the role it has set.
const SURVEY = `
  with books as (
    select oid, relname, relowner from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
      and relname in ('accounts', 'account_balances', 'payments', 'ledger_entries')
    order by relname)
  select
    session_user as role,
    (select rolsuper from pg_roles where rolname = session_user) as superuser,
    has_parameter_privilege(session_user, 'session_replication_role', 'SET') as "disablesTriggers",
    array(select relname::text from books where pg_has_role(session_user, relowner, 'MEMBER')) as owned,
    array(select relname::text from books where has_table_privilege(session_user, oid, 'DELETE, TRUNCATE')) as erasable`;

interface Survey {
  role: string;
  superuser: boolean;
  disablesTriggers: boolean;
  owned: string[];
  erasable: string[];
}

/** The rights by which the connection's role could get round the rules of the books, as a sentence; undefined if none. */
export async function excessPrivileges(pool: pg.Pool): Promise<string | undefined> {
  const { rows } = await pool.query<Survey>(SURVEY);
  const [survey] = rows;
  if (survey === undefined) throw new Error('Bug! A select of one row returned none');
  const { role, superuser, disablesTriggers, owned, erasable } = survey;
  const rights = superuser
    ? ['is a superuser']
    : [
        ...(owned.length > 0 ? [`owns ${owned.join(', ')}`] : []),
        ...(erasable.length > 0 ? [`may delete from or truncate ${erasable.join(', ')}`] : []),
        ...(disablesTriggers ? ['may set session_replication_role, which switches triggers off'] : []),
      ];
  if (rights.length === 0) return undefined;
  return (
    `The database role ${role} ${rights.join(', and ')}: it can change the books against their rules. ` +
    'Connect as a member of the application role that npm run migrate sets up.'
  );
}
