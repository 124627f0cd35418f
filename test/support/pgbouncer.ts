import { chmod, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { unpackedPackages } from '../../tools/debian-package.ts';
import { which } from '../../tools/stack/cache.ts';
import { freePorts } from '../../tools/stack/free-port.ts';
import { GuardedProcess } from '../../tools/stack/guarded-process.ts';
import { startServer } from '../../tools/stack/server.ts';
import { serverUser } from '../../tools/stack/server-user.ts';

export interface PgBouncer {
  /** The database through it. */
  readonly url: string;
  stop(): Promise<void>;
}

export interface Installed {
  readonly command: string;
  /** Where its libraries are, if not where the system looks for them. */
  readonly libraries?: string;
}

/** PgBouncer from the path, or Debian's package unpacked into the cache. A text says why there is none. */
export async function findPgBouncer(): Promise<Installed | string> {
  const installed = which('pgbouncer');
  if (installed !== undefined) return { command: installed };
  const unpacked = await unpackedPackages('pgbouncer', PACKAGES);
  if (typeof unpacked === 'string') return unpacked;
  const libraries = join(unpacked.folder, 'usr/lib', `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`);
  return { command: join(unpacked.folder, 'usr/sbin/pgbouncer'), libraries };
}

/** PgBouncer and those of its libraries that a Debian without it may lack. */
const PACKAGES = ['pgbouncer', 'libc-ares2', 'libevent-2.1-7'];

/**
 * Starts PgBouncer in transaction mode in front of the database, with fewer server
 * connections than its clients use, so that statements of one client hop between them.
 */
export async function startPgBouncer({ command, libraries }: Installed, databaseUrl: string): Promise<PgBouncer> {
  const [port] = (await freePorts(1)) as [number];
  const folder = await mkdtemp(join(tmpdir(), 'payment-ledger-pgbouncer-'));
  // It may run as another user, who has to read its configuration, and may not reach the cache.
  await chmod(folder, 0o755);
  const program = join(folder, 'pgbouncer');
  await cp(command, program);
  const ownLibraries = join(folder, 'lib');
  if (libraries !== undefined) await cp(libraries, ownLibraries, { recursive: true, dereference: true });
  const target = new URL(databaseUrl);
  const password = target.password === '' ? '' : ` password=${decodeURIComponent(target.password)}`;
  const config = join(folder, 'pgbouncer.ini');
  await writeFile(
    config,
    `[databases]
* = host=${target.hostname} port=${target.port} user=${target.username}${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
`,
  );
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${port}`;
  const server = await startServer({
    name: 'PgBouncer',
    address: url.href,
    process: new GuardedProcess({
      name: 'PgBouncer',
      command: program,
      args: [config],
      uid: serverUser(),
      env: libraries === undefined ? {} : { LD_LIBRARY_PATH: ownLibraries },
      logFile: join(folder, 'pgbouncer.log'),
      stopSignal: 'SIGINT',
    }),
    ping: () => ping(url.href),
    startTimeoutMs: 10_000,
  });
  return {
    url: url.href,
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function ping(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('select 1');
  await client.end();
}
