import { execFile } from 'node:child_process';
import { chmod, chown, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { loadCommandConfig } from '../../src/config.ts';
import { createPool } from '../../src/infra/postgres/pool.ts';
import { onFreePorts } from '../../tools/stack/free-port.ts';
import { createApplicationLogin, startPostgres } from '../../tools/stack/postgres.ts';
import type { Server } from '../../tools/stack/server.ts';
import { serverUser } from '../../tools/stack/server-user.ts';
import { removeData } from '../../tools/stack/stack.ts';
import { type Certificate, createAuthority } from '../support/certificates.ts';
import { childEnvironment } from '../support/child-environment.ts';
import { execute } from '../support/empty-database.ts';
import { ownRedisUrl } from '../support/own-redis.ts';
import { startApi } from '../support/processes.ts';

const authority = createAuthority();
const otherAuthority = createAuthority();
const trusted = authority.issue({ dnsNames: ['localhost'] });

let folder: string;
let server: Server;
let operator: pg.Client;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'payment-ledger-postgres-tls-'));
  await chmod(folder, 0o755);
  server = await onFreePorts(1, ([port]) => startPostgres(join(folder, 'postgres'), port!));
  await writeFile(path('ca.pem'), authority.cert);
  await writeFile(path('other-ca.pem'), otherAuthority.cert);
  operator = new pg.Client({ connectionString: server.address });
  await operator.connect();
  await operator.query(`alter system set ssl_cert_file = '${path('server.pem')}'`);
  await operator.query(`alter system set ssl_key_file = '${path('server.key')}'`);
  await operator.query(`alter system set ssl_ca_file = '${path('ca.pem')}'`);
  await operator.query('alter system set ssl = on');
  await serveWith(trusted);
});

afterAll(async () => {
  await operator?.end();
  await server?.stop();
  await removeData(folder);
});

const path = (name: string) => join(folder, name);

/** Gives the server a certificate; it reads it when it is told to. */
async function serveWith({ cert, key }: Certificate): Promise<void> {
  await writeFile(path('server.pem'), cert);
  await writeFile(path('server.key'), key);
  // Postgres rejects a key that others may read.
  await chmod(path('server.key'), 0o600);
  const uid = serverUser();
  if (uid !== undefined) await chown(path('server.key'), uid, 0);
  await reload();
}

async function reload(): Promise<void> {
  const loadedAt = async () =>
    (await operator.query<{ at: Date }>('select pg_conf_load_time() as at')).rows[0]!.at.getTime();
  const before = await loadedAt();
  await operator.query('select pg_reload_conf()');
  await vi.waitUntil(async () => (await loadedAt()) !== before, { timeout: 10_000 });
}

/** The server's address by the name in its certificate, encrypted and verified. */
function address(overrides: { host?: string; ca?: string; user?: string } = {}): URL {
  const { host = 'localhost', ca = 'ca.pem', user } = overrides;
  const url = new URL(server.address);
  url.hostname = host;
  if (user !== undefined) url.username = user;
  url.searchParams.set('sslmode', 'verify-full');
  url.searchParams.set('sslrootcert', path(ca));
  return url;
}

/** Connects as the processes do, and says whether and as whom it is encrypted. */
async function connectTo(url: URL) {
  const pool = createPool({
    connectionString: loadCommandConfig({ DATABASE_URL: url.href }).DATABASE_URL,
    max: 1,
    applicationName: 'test',
    queryTimeoutMs: 5_000,
    onIdleError: () => undefined,
  });
  try {
    const { rows } = await pool.query('select ssl, client_dn from pg_stat_ssl where pid = pg_backend_pid()');
    return rows[0];
  } finally {
    await pool.end();
  }
}

test('the server is verified by its authority and its name', async () => {
  expect(await connectTo(address())).toEqual({ ssl: true, client_dn: null });
  await expect(connectTo(address({ ca: 'other-ca.pem' }))).rejects.toMatchObject({ code: 'SELF_SIGNED_CERT_IN_CHAIN' });
  await expect(connectTo(address({ host: '127.0.0.1' }))).rejects.toThrow("does not match certificate's altnames");
});

test('an address is a name, if the certificate says so', async () => {
  await serveWith(authority.issue({ ipAddresses: ['127.0.0.1'] }));
  expect(await connectTo(address({ host: '127.0.0.1' }))).toMatchObject({ ssl: true });
  await expect(connectTo(address())).rejects.toThrow("does not match certificate's altnames");
  await serveWith(trusted);
});

test('a certificate that has expired or is not valid yet is rejected', async () => {
  const dnsNames = ['localhost'];
  await serveWith(authority.issue({ dnsNames, notAfter: new Date(Date.now() - 60_000) }));
  await expect(connectTo(address())).rejects.toThrow('certificate has expired');
  await serveWith(authority.issue({ dnsNames, notBefore: new Date(Date.now() + 3_600_000) }));
  await expect(connectTo(address())).rejects.toThrow('certificate is not yet valid');
  await serveWith(trusted);
});

test('a server without TLS is rejected', async () => {
  const url = new URL(inject('databaseUrl'));
  url.searchParams.set('sslmode', 'verify-full');
  await expect(connectTo(url)).rejects.toThrow('The server does not support SSL connections');
});

test('a client certificate takes the place of a password', async () => {
  const { rows } = await operator.query<{ hba_file: string }>('show hba_file');
  const rules = await readFile(rows[0]!.hba_file, 'utf8');
  await writeFile(rows[0]!.hba_file, `hostssl all certified all cert\n${rules}`);
  await operator.query('create role certified login');
  await reload();

  const client = authority.issue({ commonName: 'certified' });
  await writeFile(path('client.pem'), client.cert);
  await writeFile(path('client.key'), client.key);
  const url = address({ user: 'certified' });
  await expect(connectTo(url)).rejects.toThrow('connection requires a valid client certificate');
  url.searchParams.set('sslcert', path('client.pem'));
  url.searchParams.set('sslkey', path('client.key'));
  expect(await connectTo(url)).toEqual({ ssl: true, client_dn: '/CN=certified' });
});

test('migrate and the API go over TLS, with a URL and a password from files', async () => {
  const url = address();
  const { password } = url;
  url.password = '';
  await writeFile(path('url'), `${url.href}\n`);
  await writeFile(path('password'), `${password}\n`);
  const env = { ...childEnvironment, DATABASE_URL_FILE: path('url'), DATABASE_PASSWORD_FILE: path('password') };
  // From now on the server takes nobody who is not encrypted.
  const { rows } = await operator.query<{ hba_file: string }>('show hba_file');
  const rules = await readFile(rows[0]!.hba_file, 'utf8');
  await writeFile(rows[0]!.hba_file, rules.replace(/^host /gm, 'hostssl '));
  await reload();
  await expect(execute(server.address, 'select 1')).rejects.toThrow('no encryption');

  const { stdout } = await promisify(execFile)(process.execPath, ['src/cli/main.ts', 'migrate'], { env });
  expect(stdout).toContain('Applied');
  await createApplicationLogin(url.href.replace('ledger@', `ledger:${password}@`));
  const application = Object.assign(new URL(url), { username: 'ledger_application' });
  await writeFile(path('url'), application.href);
  const api = await startApi({ ...env, REDIS_URL: ownRedisUrl() });
  try {
    const sessions = await operator.query(
      `select usename, ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'payment-ledger-api'`,
    );
    expect(sessions.rows.length).toBeGreaterThan(0);
    expect(sessions.rows.every(({ usename, ssl }) => usename === 'ledger_application' && ssl)).toBe(true);
  } finally {
    await api.stop();
  }
});
