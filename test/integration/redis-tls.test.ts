import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { loadApiConfig, redisAddress } from '../../src/config.ts';
import { AccountType } from '../../src/gen/payment/v1/account.ts';
import { connectRedis, connectRedisForJobs } from '../../src/infra/redis/connection.ts';
import { JobRunner } from '../../src/relay/job-runner.ts';
import { jobMetrics } from '../../src/relay/metrics.ts';
import { consumeEvents } from '../../tools/events.ts';
import { cacheFolder } from '../../tools/stack/cache.ts';
import { onFreePorts } from '../../tools/stack/free-port.ts';
import { redisProgram, startRedis, startSentinel } from '../../tools/stack/redis.ts';
import type { Server } from '../../tools/stack/server.ts';
import { createAuthority } from '../support/certificates.ts';
import { silent } from '../support/relay.ts';
import { createSystem } from '../support/system.ts';

const PASSWORD = 'planted-acl';
/** What .env.example says that the user of both processes needs. */
const RIGHTS = '~payment-ledger* ~{payment-ledger}:* resetchannels &payment-ledger:* +@all -@dangerous +info';

const authority = createAuthority();
const client = authority.issue({ commonName: 'ledger' });

let folder: string;
let program: string;
let server: Server;
/** The port for TLS; the other one is for the operator. */
let port: number;
let operator: Redis;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'payment-ledger-redis-tls-'));
  const { cert, key } = authority.issue({ dnsNames: ['localhost'] });
  const files = {
    ca: authority.cert,
    'other-ca': createAuthority().cert,
    cert,
    key,
    client: client.cert,
    'client-key': client.key,
    password: `${PASSWORD}\n`,
  };
  for (const [name, content] of Object.entries(files)) await writeFile(path(name), content);
  program = await redisProgram(cacheFolder(process.env), () => undefined);
  [server, port] = await onFreePorts(2, async ([plain, encrypted]) => {
    const settings = tlsSettings(encrypted!, 'cert', 'key').flatMap(([name, value]) => [`--${name}`, value]);
    return [await startRedis(join(folder, 'redis'), plain!, program, settings), encrypted!];
  });
  operator = new Redis(server.address);
  await operator.call('ACL', 'SETUSER', 'ledger', 'on', `>${PASSWORD}`, ...RIGHTS.split(' '));
});

afterAll(async () => {
  operator?.disconnect();
  await server?.stop();
  await rm(folder, { recursive: true });
});

const path = (name: string) => join(folder, name);

function tlsSettings(tlsPort: number, cert: string, key: string): [string, string][] {
  return [
    ['tls-port', String(tlsPort)],
    ['tls-auth-clients', 'no'],
    ['tls-cert-file', path(cert)],
    ['tls-key-file', path(key)],
    ['tls-ca-cert-file', path('ca')],
  ];
}

function environment(changes: Record<string, string> = {}): Record<string, string> {
  return {
    REDIS_URL: `rediss://ledger@localhost:${port}`,
    REDIS_PASSWORD_FILE: path('password'),
    REDIS_TLS_CA_FILE: path('ca'),
    ...changes,
  };
}

/** What became of a connection: "ready", or the errors that the log shows first. */
async function attempt(changes: Record<string, string>, count = 1): Promise<string> {
  const config = loadApiConfig({ DATABASE_URL: 'postgres://none', ...environment(changes) });
  const { promise, resolve } = Promise.withResolvers<string>();
  const errors: string[] = [];
  const redis = connectRedis(redisAddress(config), {
    info: () => undefined,
    warn(fields) {
      errors.push(String((fields as { err?: Error }).err));
      if (errors.length === count) resolve(errors.join('\n'));
    },
  });
  redis.on('ready', () => resolve('ready'));
  try {
    return await promise;
  } finally {
    redis.disconnect();
  }
}

test('the server is verified by its authority and its name, and asks for the user', async () => {
  expect(await attempt({})).toBe('ready');
  expect(await attempt({ REDIS_TLS_CA_FILE: path('other-ca') })).toContain(
    'self-signed certificate in certificate chain',
  );
  expect(await attempt({ REDIS_TLS_CA_FILE: '' })).toContain('self-signed certificate in certificate chain');
  expect(await attempt({ REDIS_URL: `rediss://ledger@127.0.0.1:${port}` })).toContain(
    "does not match certificate's altnames",
  );
  const wrong = await attempt({ REDIS_PASSWORD_FILE: path('client') });
  expect(wrong).toContain('WRONGPASS');
});

test('a server without TLS is rejected', async () => {
  const plain = new URL(server.address).port;
  expect(await attempt({ REDIS_URL: `rediss://ledger@localhost:${plain}` })).not.toBe('ready');
});

test('a client certificate is shown to a server that asks for one', async () => {
  await operator.config('SET', 'tls-auth-clients', 'yes');
  try {
    const certificate = { REDIS_TLS_CERT_FILE: path('client'), REDIS_TLS_KEY_FILE: path('client-key') };
    expect(await attempt(certificate)).toBe('ready');
    expect(await attempt({})).not.toBe('ready');
  } finally {
    await operator.config('SET', 'tls-auth-clients', 'no');
  }
});

test('Sentinel and the primary that it names are asked over TLS, each for a user of its own', async () => {
  // Sentinel names the primary by its address.
  const { cert, key } = authority.issue({ ipAddresses: ['127.0.0.1'] });
  await writeFile(path('address-cert'), cert);
  await writeFile(path('address-key'), key);
  const [servers, ports] = await onFreePorts(4, async (free) => {
    const [plain, primary, plainSentinel, sentinel] = free as [number, number, number, number];
    const tls = (tlsPort: number): [string, string][] => [
      ...tlsSettings(tlsPort, 'address-cert', 'address-key'),
      ['tls-replication', 'yes'],
    ];
    const settings = tls(primary).flatMap(([name, value]) => [`--${name}`, value]);
    const lines = tls(sentinel).map((setting) => setting.join(' '));
    const started = [
      await startRedis(join(folder, 'primary'), plain, program, settings),
      await startSentinel(join(folder, 'sentinel'), plainSentinel, program, primary, lines),
    ];
    return [started, { primary, sentinel }] as const;
  });
  const operators = servers.map(({ address }) => new Redis(address));
  try {
    await operators[0]!.call('ACL', 'SETUSER', 'ledger', 'on', `>${PASSWORD}`, ...RIGHTS.split(' '));
    await operators[1]!.call('ACL', 'SETUSER', 'watcher', 'on', '>planted-sentinel', 'allchannels', '+@all');
    await operators[1]!.call('ACL', 'SETUSER', 'default', 'off');
    const changes = {
      REDIS_URL: 'rediss://ledger@unused.invalid',
      REDIS_SENTINELS: `127.0.0.1:${ports.sentinel}`,
      REDIS_SENTINEL_USERNAME: 'watcher',
      REDIS_SENTINEL_PASSWORD: 'planted-sentinel',
    };
    expect(await attempt(changes)).toBe('ready');
    const otherAuthority = await attempt({ ...changes, REDIS_TLS_CA_FILE: path('other-ca') }, 2);
    expect(otherAuthority).toContain('All sentinels are unreachable');
    expect(otherAuthority).toContain('self-signed certificate in certificate chain');
    const wrongPassword = await attempt({ ...changes, REDIS_SENTINEL_PASSWORD: 'planted-wrong' }, 2);
    expect(wrongPassword).toContain('WRONGPASS');
    expect(wrongPassword).not.toContain('planted');
  } finally {
    for (const redis of operators) redis.disconnect();
    for (const each of servers) await each.stop();
  }
});

test('limiter, hints and jobs of both processes work over TLS, with the rights of one ACL user', async () => {
  const system = await createSystem();
  try {
    const limit = { RATE_LIMIT_CAPACITY: '1000', RATE_LIMIT_REFILL_PER_SECOND: '1' };
    const api = await system.startApi({ ...environment(), ...limit });
    // Only a hint makes it look within the test's time.
    const relay = await system.startRelay({ ...environment(), RELAY_POLL_MS: '60000', LOG_LEVEL: 'debug' });
    await api.client.open('world', { type: AccountType.ACCOUNT_TYPE_EXTERNAL });
    await api.client.open('shop');
    const consumer = await consumeEvents(inject('kafkaBrokers'), system.topic);
    const pay = () => api.client.authorize({ payerAccountId: 'shop', payeeAccountId: 'world', amountCents: 1n });
    await expect.poll(async () => [await pay(), consumer.events.length][1]).toBeGreaterThan(0);
    await consumer.close();
    expect(await operator.exists('payment-ledger:bucket:shop')).toBe(1);
    const jobDone = () => relay.log.some((line) => line.includes('job done'));
    await expect.poll(jobDone).toBe(true);
    const lines = ((await operator.client('LIST')) as string).trim().split('\n');
    const encrypted = lines.filter((line) => line.includes(`laddr=127.0.0.1:${port} `));
    expect(encrypted.length).toBeGreaterThanOrEqual(4);
    expect(encrypted.every((line) => line.includes('user=ledger'))).toBe(true);
    const output = [...api.log, ...relay.log].join('\n');
    expect(output).not.toContain('NOPERM');
    expect(output).not.toContain('planted');
  } finally {
    await system.close();
  }
});

test('jobs of a user without the rights are asked for now and then, and run once it has them', async () => {
  await operator.call('ACL', 'SETUSER', 'limited', 'on', `>${PASSWORD}`, ...RIGHTS.split(' '), 'resetkeys');
  const config = loadApiConfig({
    DATABASE_URL: 'postgres://none',
    ...environment({ REDIS_URL: `rediss://limited@localhost:${port}` }),
  });
  const lines = { debug: 0, warn: [] as string[] };
  const log = {
    ...silent,
    debug() {
      lines.debug += 1;
    },
    warn: (fields: object) => void lines.warn.push(String((fields as { err?: Error }).err)),
  };
  let runs = 0;
  const job = { name: 'count', everyMs: 200, run: async () => ({ runs: ++runs }) };
  const redis = connectRedisForJobs(redisAddress(config), log);
  const runner = new JobRunner([job], { redis, queue: 'limited', rescheduleMs: 500 }, jobMetrics(new Registry()), log);
  runner.start();
  try {
    await expect.poll(() => lines.warn).toContainEqual(expect.stringContaining('NOPERM'));
    const before = lines.debug;
    await sleep(3_000);
    expect(lines.debug - before).toBeLessThan(50);
    expect(runs).toBe(0);
    await operator.call('ACL', 'SETUSER', 'limited', 'allkeys');
    await expect.poll(() => runs).toBeGreaterThan(3);
  } finally {
    await runner.stop();
  }
});
