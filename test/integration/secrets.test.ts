import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { AccountType } from '../../src/gen/payment/v1/account.ts';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { childEnvironment } from '../support/child-environment.ts';
import { createTopic, SHARDS } from '../support/relay.ts';
import { createSystem, type System } from '../support/system.ts';

/** Everything secret in this file contains it, amounts apart. */
const PLANTED = 'planted';
const PLANTED_AMOUNT = 918_273_645n;

const PROGRAMS = ['src/api/main.ts', 'src/relay/main.ts'];

/** Runs the program until its output matches; returns all of it. */
async function outputOf(program: string, env: Record<string, string>, until: RegExp[]): Promise<string> {
  const child = spawn(process.execPath, [program], {
    env: { ...childEnvironment, GRPC_PORT: '0', METRICS_PORT: '0', LOG_LEVEL: 'trace', ...env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  try {
    for (const pattern of until) await expect.poll(() => output).toMatch(pattern);
  } finally {
    child.kill('SIGKILL');
  }
  return output;
}

function withCredentials(url: string, username: string, password: string): string {
  return Object.assign(new URL(url), { username, password }).href;
}

describe('no password is in the output when', () => {
  let acl: Redis;
  const user = `user-${randomUUID()}`;
  beforeAll(async () => {
    acl = new Redis(inject('redisUrl'));
    // Logs in, but may do nothing.
    await acl.call('ACL', 'SETUSER', user, 'on', `>${PLANTED}-acl`);
  });
  afterAll(async () => {
    await acl.call('ACL', 'DELUSER', user);
    acl.disconnect();
  });

  const servers = (postgres: string, redis: string) => ({
    DATABASE_URL: postgres,
    REDIS_URL: redis,
    KAFKA_BROKERS: '127.0.0.1:1',
  });
  const wrongPostgres = () =>
    withCredentials(
      inject('databaseUrl'),
      new URL(applicationAddress(inject('databaseUrl'))).username,
      `${PLANTED}-pg`,
    );

  test.each(PROGRAMS)('%s has the wrong password for Postgres and Redis', async (program) => {
    const env = servers(wrongPostgres(), withCredentials(inject('redisUrl'), 'nobody', `${PLANTED}-redis`));
    const output = await outputOf(program, env, [
      /Redis is unreachable/,
      /WRONGPASS/,
      /password authentication failed/,
    ]);
    expect(output).not.toContain(PLANTED);
  });

  test.each(PROGRAMS)('%s has a Redis user who may do nothing, and no Postgres', async (program) => {
    const postgres = withCredentials('postgres://127.0.0.1:1/none', 'nobody', `${PLANTED}-pg`);
    const env = servers(postgres, withCredentials(inject('redisUrl'), user, `${PLANTED}-acl`));
    const output = await outputOf(program, env, [/NOPERM/, /ECONNREFUSED/]);
    expect(output).not.toContain(PLANTED);
  });

  test.each(PROGRAMS)('%s has bad values for its addresses', async (program) => {
    const env = {
      DATABASE_URL: `postgres://user:${PLANTED}@host:99999/db`,
      REDIS_URL: `http://user:${PLANTED}@host`,
      REDIS_SENTINELS: `user:${PLANTED}@host:1`,
      KAFKA_BROKERS: `kafka://user:${PLANTED}@host:9092`,
    };
    const output = await outputOf(program, env, [/DATABASE_URL: /, /REDIS_URL: /, /REDIS_SENTINELS: /]);
    expect(output).not.toContain(PLANTED);
    expect(output.includes('KAFKA_BROKERS: ')).toBe(program === 'src/relay/main.ts');
  });
});

describe('calls that fail', () => {
  let system: System;
  beforeAll(async () => {
    system = await createSystem();
  });
  afterAll(() => system?.close());

  test('leave neither keys, descriptions nor amounts in the output of API and relay', async () => {
    // Postgres shows the whole row that it rejects, and Kafka takes no event.
    await system.database.query(`alter table payments add check (description <> '${PLANTED} and rejected')`);
    await createTopic({ 'max.message.bytes': '100' }, SHARDS, system.topic);
    const api = await system.startApi({ LOG_LEVEL: 'trace' });
    const relay = await system.startRelay({ LOG_LEVEL: 'trace' });
    await api.client.open('world', { type: AccountType.ACCOUNT_TYPE_EXTERNAL });
    await api.client.open('shop');
    const request = {
      idempotencyKey: `${PLANTED}-key`,
      payerAccountId: 'world',
      payeeAccountId: 'shop',
      amountCents: PLANTED_AMOUNT,
      description: `${PLANTED} description`,
    };
    const pay = (changes: Partial<typeof request> & { currency?: string }) =>
      api.client.authorize({ ...request, ...changes }).then(
        ({ error }) => error?.code ?? 'AUTHORIZED',
        ({ code }) => `status ${code}`,
      );
    const key = () => `${PLANTED}-${randomUUID()}`;
    expect(await pay({})).toBe('AUTHORIZED');
    expect(await pay({ payeeAccountId: 'nobody' })).toBe('status 6');
    expect(await pay({ description: PLANTED.repeat(200) })).toBe('status 3');
    expect(await pay({ currency: PLANTED })).toBe('status 3');
    const overdraft = { payerAccountId: 'shop', payeeAccountId: 'world', amountCents: PLANTED_AMOUNT * 10n };
    expect(await pay({ idempotencyKey: key(), ...overdraft })).toBe(1);
    expect(await pay({ idempotencyKey: key(), payeeAccountId: 'nobody' })).toBe(2);
    expect(await pay({ idempotencyKey: key(), description: `${PLANTED} and rejected` })).toBe('status 13');
    await expect.poll(() => relay.log.join('\n')).toContain('Kafka rejects this event for good');
    await expect.poll(() => api.log.join('\n')).toContain('violates check constraint');

    const output = [...api.log, ...relay.log].join('\n');
    expect(output).not.toContain(PLANTED);
    expect(output).not.toContain(String(PLANTED_AMOUNT));
  });
});
