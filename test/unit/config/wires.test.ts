import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ConfigError,
  kafkaAddress,
  loadApiConfig,
  loadCommandConfig,
  loadEventsConfig,
  loadRelayConfig,
  redisAddress,
} from '../../../src/config.ts';
import { createAuthority } from '../../support/certificates.ts';

const API = { DATABASE_URL: 'postgres://ledger@db.example/ledger', REDIS_URL: 'redis://redis.example' };
/** What a password may hold that means something else in a URL. */
const PASSWORD = ` p@ss:w/o?r#d%41&=+é'"\\`;

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'payment-ledger-config-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** The message of the ConfigError. */
function problem(load: () => unknown): string {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('Nothing was wrong');
}

describe('a variable from a file', () => {
  test.each(['\n', '\r\n', ''])('is read without the newline at its end (%j)', (end) => {
    const { DATABASE_URL, ...others } = API;
    const config = loadApiConfig({ ...others, DATABASE_URL_FILE: file('url', `${DATABASE_URL}${end}`) });
    expect(config.DATABASE_URL).toBe(DATABASE_URL);
  });

  test('keeps every other white space', () => {
    const url = loadCommandConfig({ ...API, DATABASE_PASSWORD_FILE: file('password', ' a b \n\n') }).DATABASE_URL;
    expect(new pg.Client({ connectionString: url }).password).toBe(' a b \n');
  });

  test('may be any variable, of the commands too', () => {
    const env = { DATABASE_URL: API.DATABASE_URL, KAFKA_BROKERS_FILE: file('brokers', 'a:1,b:2\n') };
    expect(loadEventsConfig(env).KAFKA_BROKERS).toEqual(['a:1', 'b:2']);
  });

  test('is rejected if the variable is set as well, by both names', () => {
    const message = problem(() => loadApiConfig({ ...API, REDIS_URL_FILE: file('both', API.REDIS_URL) }));
    expect(message).toContain('REDIS_URL and REDIS_URL_FILE are both set');
    expect(loadApiConfig({ ...API, REDIS_URL_FILE: '' }).REDIS_URL).toBe(API.REDIS_URL);
  });

  test('that cannot be read or is empty is rejected, and its name is not told: it may be the secret', () => {
    const missing = problem(() => loadApiConfig({ ...API, DATABASE_PASSWORD_FILE: 'planted' }));
    expect(missing).toContain('DATABASE_PASSWORD_FILE names a file that cannot be read: ENOENT');
    expect(missing).not.toContain('planted');
    const empty = problem(() => loadApiConfig({ ...API, DATABASE_PASSWORD_FILE: file('empty', '\n') }));
    expect(empty).toContain('DATABASE_PASSWORD_FILE names an empty file');
  });

  test('that holds a bad value is the one that is named', () => {
    const { DATABASE_URL: _, ...others } = API;
    const message = problem(() => loadApiConfig({ ...others, DATABASE_URL_FILE: file('bad', 'mysql://planted') }));
    expect(message).toContain('DATABASE_URL_FILE: must be a URL that starts with postgres://');
    expect(message).not.toContain('planted');
  });
});

test('every bad variable is named in one error, with no value', () => {
  const bad = { REDIS_URL: 'planted', KAFKA_BROKERS: 'planted', LOG_LEVEL: 'planted', METRICS_PORT_FILE: 'planted' };
  const message = problem(() => loadRelayConfig(bad));
  for (const name of [
    'REDIS_URL: ',
    'KAFKA_BROKERS: ',
    'LOG_LEVEL: ',
    'METRICS_PORT_FILE ',
    'DATABASE_URL is not set',
  ]) {
    expect(message).toContain(name);
  }
  expect(message).not.toContain('METRICS_PORT:');
  expect(message).not.toContain('planted');
});

describe('a password apart from its URL', () => {
  test('reaches Postgres and Redis as it is', () => {
    const config = loadApiConfig({ ...API, DATABASE_PASSWORD: PASSWORD, REDIS_PASSWORD: PASSWORD });
    const client = new pg.Client({ connectionString: config.DATABASE_URL });
    expect([client.user, client.password, client.host, client.database]).toEqual([
      ...['ledger', PASSWORD, 'db.example', 'ledger'],
    ]);
    const { options } = new Redis(redisAddress(config).url, { lazyConnect: true });
    expect([options.username, options.password, options.host]).toEqual(['', PASSWORD, 'redis.example']);
  });

  test('is rejected if the URL has one already, or no place for one', () => {
    const both = { ...API, DATABASE_URL: 'postgres://ledger:planted@db.example/ledger', DATABASE_PASSWORD: 'planted' };
    const message = problem(() => loadApiConfig(both));
    expect(message).toContain('DATABASE_PASSWORD: DATABASE_URL has a password already');
    expect(message).not.toContain('planted');
    const malformed = { ...API, REDIS_URL: 'planted', REDIS_PASSWORD: 'planted' };
    expect(problem(() => loadApiConfig(malformed))).toContain('REDIS_URL: must be a URL');
    const socket = { ...API, DATABASE_URL: 'postgres:///ledger?host=/run/postgresql', DATABASE_PASSWORD: 'planted' };
    expect(problem(() => loadApiConfig(socket))).toContain('DATABASE_PASSWORD: DATABASE_URL has no host');
  });
});

describe('TLS to Postgres', () => {
  const authority = createAuthority();
  const load = (parameters: string) => loadCommandConfig({ DATABASE_URL: `${API.DATABASE_URL}?${parameters}` });

  test('is verified in full, by the authority in the file', () => {
    const ca = file('ca.pem', authority.cert);
    const { DATABASE_URL } = load(`sslmode=verify-full&sslrootcert=${ca}`);
    expect(new pg.Client({ connectionString: DATABASE_URL })).toMatchObject({ ssl: { ca: authority.cert } });
    expect(load('sslmode=disable').DATABASE_URL).toContain('sslmode=disable');
  });

  // Those that would encrypt without asking who is there, or mean one thing to libpq and another to pg.
  test.each([
    ['sslmode=require', 'sslmode must be disable or verify-full'],
    ['sslmode=no-verify', 'sslmode must be disable or verify-full'],
    ['uselibpqcompat=true&sslmode=verify-ca', 'sslmode must be disable or verify-full'],
    ['sslmode=verify_full', 'sslmode must be disable or verify-full'],
    ['ssl=no-verify', 'ssl is not a parameter here'],
    ['sslrootcert=/planted', 'sslrootcert: only with sslmode=verify-full'],
    ['sslmode=disable&sslrootcert=/planted', 'sslrootcert: only with sslmode=verify-full'],
    ['sslmode=verify-full&sslcert=/planted', 'sslcert and sslkey go together'],
    ['sslmode=verify-full&sslrootcert=/planted', 'sslrootcert names a file that cannot be used: ENOENT'],
  ])('%s is rejected', (parameters, reason) => {
    const message = problem(() => load(parameters));
    expect(message).toContain(`DATABASE_URL: ${reason}`);
    expect(message).not.toContain('planted');
  });

  test('a file that holds no certificate is rejected', () => {
    const message = problem(() => load(`sslmode=verify-full&sslrootcert=${file('no.pem', 'planted')}`));
    expect(message).toContain('sslrootcert names a file that cannot be used: ERR_OSSL_PEM_NO_START_LINE');
    expect(message).not.toContain('planted');
  });
});

describe('the wire to Kafka', () => {
  const authority = createAuthority();
  const client = authority.issue({});
  const load = (variables: Record<string, string>) =>
    kafkaAddress(loadEventsConfig({ DATABASE_URL: API.DATABASE_URL, KAFKA_BROKERS: 'a:1', ...variables }));

  test('is plain without further settings', () => {
    expect(load({})).toEqual({ brokers: ['a:1'], tls: undefined, sasl: undefined });
    expect(load({ KAFKA_SSL: '1' })).toMatchObject({ tls: { ca: undefined } });
  });

  test('has what files hold', () => {
    const variables = {
      KAFKA_SSL: '1',
      KAFKA_SSL_CA_FILE: file('kafka-ca.pem', authority.cert),
      KAFKA_SSL_CERT_FILE: file('kafka.pem', client.cert),
      KAFKA_SSL_KEY_FILE: file('kafka.key', client.key),
      KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
      KAFKA_SASL_USERNAME: 'relay',
      KAFKA_SASL_PASSWORD_FILE: file('kafka-password', `${PASSWORD}\n`),
    };
    expect(load(variables)).toEqual({
      brokers: ['a:1'],
      tls: { ca: authority.cert.trimEnd(), cert: client.cert.trimEnd(), key: client.key.trimEnd() },
      sasl: { mechanism: 'scram-sha-512', username: 'relay', password: PASSWORD },
    });
  });

  test.each([
    [{ KAFKA_SSL: 'true' }, 'KAFKA_SSL: '],
    [{ KAFKA_SSL_CA: authority.cert }, 'KAFKA_SSL_CA: is of no use without KAFKA_SSL=1'],
    [{ KAFKA_SSL: '1', KAFKA_SSL_CA: 'planted' }, 'KAFKA_SSL_CA: must be certificates in PEM'],
    [{ KAFKA_SSL: '1', KAFKA_SSL_CERT: client.cert }, 'KAFKA_SSL_CERT: and KAFKA_SSL_KEY go together'],
    [{ KAFKA_SSL: '1', KAFKA_SSL_CERT: client.cert, KAFKA_SSL_KEY: 'planted' }, 'KAFKA_SSL_KEY: must be a private key'],
    [
      { KAFKA_SSL: '1', KAFKA_SSL_CERT: client.cert, KAFKA_SSL_KEY: authority.issue({}).key },
      'KAFKA_SSL_KEY: is not the key of KAFKA_SSL_CERT',
    ],
    [{ KAFKA_SASL_MECHANISM: 'GSSAPI' }, 'KAFKA_SASL_MECHANISM: '],
    [{ KAFKA_SASL_MECHANISM: 'SCRAM-SHA-256' }, 'KAFKA_SASL_USERNAME: is not set, but KAFKA_SASL_MECHANISM is'],
    [{ KAFKA_SASL_MECHANISM: 'SCRAM-SHA-256' }, 'KAFKA_SASL_PASSWORD: is not set, but KAFKA_SASL_MECHANISM is'],
    [{ KAFKA_SASL_PASSWORD: 'planted' }, 'KAFKA_SASL_PASSWORD: is of no use without KAFKA_SASL_MECHANISM'],
    [
      { KAFKA_SASL_MECHANISM: 'PLAIN', KAFKA_SASL_USERNAME: 'relay', KAFKA_SASL_PASSWORD: 'planted' },
      'KAFKA_SASL_MECHANISM: PLAIN without KAFKA_SSL=1 would show the password',
    ],
  ])('that contradicts itself is rejected: %j', (variables, reason) => {
    const message = problem(() => load(variables));
    expect(message).toContain(reason);
    expect(message).not.toContain('planted');
    expect(message).not.toContain('-----BEGIN');
  });
});

describe('the wire to Redis', () => {
  const authority = createAuthority();
  const client = authority.issue({});
  const load = (variables: Record<string, string>) => redisAddress(loadApiConfig({ ...API, ...variables }));

  test('is plain or encrypted as the URL says', () => {
    expect(load({}).tls).toBeUndefined();
    expect(load({ REDIS_URL: 'rediss://redis.example' }).tls).toEqual({});
    const variables = {
      REDIS_URL: 'rediss://ledger@redis.example',
      REDIS_PASSWORD: PASSWORD,
      REDIS_TLS_CA: authority.cert,
      REDIS_TLS_CERT: client.cert,
      REDIS_TLS_KEY: client.key,
    };
    const { url, tls } = load(variables);
    expect(tls).toEqual({ ca: authority.cert, cert: client.cert, key: client.key });
    const { options } = new Redis(url, { lazyConnect: true });
    expect([options.username, options.password]).toEqual(['ledger', PASSWORD]);
  });

  test('to Sentinels has credentials of its own', () => {
    const variables = { REDIS_SENTINELS: 'a:1', REDIS_SENTINEL_USERNAME: 'watcher', REDIS_SENTINEL_PASSWORD: PASSWORD };
    expect(load(variables).sentinel).toMatchObject({ username: 'watcher', password: PASSWORD });
  });

  const rediss = { REDIS_URL: 'rediss://redis.example' };
  test.each([
    [{ REDIS_TLS_CA: authority.cert }, 'REDIS_TLS_CA: is of no use unless REDIS_URL begins with rediss://'],
    [{ ...rediss, REDIS_TLS_CA: 'planted' }, 'REDIS_TLS_CA: must be certificates in PEM'],
    [{ ...rediss, REDIS_TLS_CERT: client.cert }, 'REDIS_TLS_CERT: and REDIS_TLS_KEY go together'],
    [{ REDIS_CLUSTER_NODES: 'a:1', REDIS_SENTINELS: 'b:2' }, 'REDIS_CLUSTER_NODES: does not go with REDIS_SENTINELS'],
    [
      { REDIS_URL: 'redis://redis.example/3', REDIS_CLUSTER_NODES: 'a:1' },
      'REDIS_CLUSTER_NODES: has one database only, and REDIS_URL names another one',
    ],
    [{ REDIS_CLUSTER_NODES: 'planted@a' }, 'REDIS_CLUSTER_NODES: must be host:port, comma-separated'],
    [{ REDIS_SENTINEL_PASSWORD: 'planted' }, 'REDIS_SENTINEL_PASSWORD: is of no use without REDIS_SENTINELS'],
  ])('that contradicts itself is rejected: %j', (variables, reason) => {
    const message = problem(() => load(variables));
    expect(message).toContain(reason);
    expect(message).not.toContain('planted');
  });
});
