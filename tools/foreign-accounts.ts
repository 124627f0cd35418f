import pg from 'pg';

/** The accounts that `npm start` opens. */
export const START_ACCOUNTS = { external: 'external-rub', customers: ['acc-001', 'acc-002'] } as const;

/**
 * Throws if the database already holds accounts that `npm start` did not open: what opens
 * accounts and pays from them must not do so in somebody's ledger by mistake.
 */
export async function rejectForeignAccounts(databaseUrl: string, env: NodeJS.ProcessEnv): Promise<void> {
  if (env['ALLOW_FOREIGN_ACCOUNTS'] === '1') return;
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    const { rows: tables } = await client.query(`select 1 where to_regclass('public.accounts') is not null`);
    if (tables.length === 0) return;
    const { rows } = await client.query<{ account_id: string }>(
      'select account_id from public.accounts where account_id <> all ($1::text[]) limit 1',
      [[START_ACCOUNTS.external, ...START_ACCOUNTS.customers]],
    );
    if (rows[0] === undefined) return;
    throw new Error(
      `The database in DATABASE_URL already holds accounts, ${rows[0].account_id} among them, and this command would ` +
        'open accounts in it and pay between them. Name an empty database, or set ALLOW_FOREIGN_ACCOUNTS=1.',
    );
  } finally {
    await client.end();
  }
}
