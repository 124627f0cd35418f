import type pg from 'pg';

/** The names of two roles that cannot log in: login roles are made members of them. */
export interface RoleNames {
  /** What the API, the relay and their command lines run as. */
  readonly application: string;
  /** For people who read the books. */
  readonly reader: string;
}

export const DEFAULT_ROLES: RoleNames = {
  application: 'payment_ledger_application',
  reader: 'payment_ledger_reader',
};

/**
 * By table, what the application's statements need and nothing more. Books are only
 * ever added to; a balance begins at zero, and locking it takes the right to update.
 */
export const APPLICATION_GRANTS: Readonly<Record<string, string>> = {
  accounts: 'select, insert',
  account_changes: 'select, insert',
  account_balances:
    'select, insert (account_id), update (available_cents, pending_cents, incoming_cents, version, last_entry_at)',
  payments: 'select, insert',
  payment_balances:
    'select, insert, update (held_cents, captured_cents, released_cents, refunded_cents, actions, updated_at)',
  ledger_entries: 'select, insert',
  idempotency_keys: 'select, insert, delete',
  outbox: 'select, insert, delete',
  outbox_shards: 'select, update (owner, epoch, leased_until)',
  relay_workers: 'select, insert, update, delete',
  // Never updated, but locked, which takes the right to update.
  outbox_dead_letters: 'select, insert, update (dead_at), delete',
  outbox_blocked: 'select, insert, delete',
  outbox_discarded: 'select, insert',
  reconciliations: 'select, insert, update, delete',
  event_audits: 'select, insert, update (rejected), delete',
  unconfirmed_events: 'select, insert, update (missing), delete',
  schema_migrations: 'select',
};

/**
 * Gives both roles their rights on the tables that there are and takes all others from
 * them. Roles are created if the connection's role may; returns the statements that an
 * administrator has to run where it may not.
 */
export async function grantRoles(client: pg.Client, roles: RoleNames): Promise<string[]> {
  const left: string[] = [];
  const existing: Record<keyof RoleNames, boolean> = { application: false, reader: false };
  for (const kind of ['application', 'reader'] as const) {
    const statements = await missingRole(client, roles[kind]);
    existing[kind] = statements.length === 0;
    left.push(...statements);
  }
  const { application, reader } = roles;
  await client.query('begin');
  try {
    if (existing.application) await client.query(await applicationGrants(client, client.escapeIdentifier(application)));
    if (existing.reader) await client.query(readerGrants(client.escapeIdentifier(reader)));
    left.push(...(await revokeTemporary(client)));
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
  return left;
}

/** Creates the role unless it is there; returns the statements that do so if this connection may not. */
async function missingRole(client: pg.Client, role: string): Promise<string[]> {
  const { rows } = await client.query<{ present: boolean; superuser: boolean; creator: boolean }>(
    `select exists (select from pg_roles where rolname = $1) as present, rolsuper as superuser,
       rolsuper or rolcreaterole as creator
     from pg_roles where rolname = current_user`,
    [role],
  );
  const [{ present, superuser, creator }] = rows as [(typeof rows)[0] & object];
  if (present) return [];
  const name = client.escapeIdentifier(role);
  const create = `create role ${name} nologin`;
  // Without it, the age of other roles' transactions, which delay vacuum, does not show.
  const seeOthers = `grant pg_read_all_stats to ${name}`;
  if (!creator) return [create, seeOthers];
  try {
    // One message is one transaction, so nobody finds the role without its membership.
    await client.query(superuser ? `${create}; ${seeOthers}` : create);
  } catch (error) {
    // Another database of the same server was migrated at the same time.
    if (!['42710', '23505'].includes((error as pg.DatabaseError).code ?? '')) throw error;
  }
  return [];
}

async function applicationGrants(client: pg.Client, role: string): Promise<string> {
  const tables = await client.query<{ name: string }>(
    `select tablename as name from pg_tables where schemaname = 'public'`,
  );
  const grants = tables.rows.flatMap(({ name }) => {
    const rights = APPLICATION_GRANTS[name];
    return rights === undefined ? [] : [`grant ${rights} on public.${name} to ${role}`];
  });
  const { rows } = await client.query<{ maintainable: boolean }>(
    `select current_setting('server_version_num')::int >= 170000 as maintainable`,
  );
  // An older Postgres lets only the owner vacuum: the relay's own vacuum is skipped there with a warning.
  if (rows[0]?.maintainable && tables.rows.some(({ name }) => name === 'outbox')) {
    grants.push(`grant maintain on public.outbox to ${role}`);
  }
  return [`grant usage on schema public to ${role}`, revokeAll(role), ...grants].join(';\n');
}

function readerGrants(role: string): string {
  return [
    `grant usage on schema public to ${role}`,
    revokeAll(role),
    `grant select on all tables in schema public to ${role}`,
  ].join(';\n');
}

function revokeAll(role: string): string {
  return `revoke all on all tables in schema public from ${role}`;
}

/** Nobody but the owner makes temporary tables in the ledger's database. */
async function revokeTemporary(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ statement: string; granted: boolean; owner: boolean }>(
    `select format('revoke temporary on database %I from public', datname) as statement,
       exists (select from aclexplode(coalesce(datacl, acldefault('d', datdba)))
               where grantee = 0 and privilege_type = 'TEMPORARY') as granted,
       pg_has_role(datdba, 'USAGE') as owner
     from pg_database where datname = current_database()`,
  );
  const [{ statement, granted, owner }] = rows as [(typeof rows)[0] & object];
  if (!granted) return [];
  if (!owner) return [statement];
  await client.query(statement);
  return [];
}
