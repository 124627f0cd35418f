import { randomUUID } from 'node:crypto';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { loadApiConfig, redisAddress } from '../../src/config.ts';
import { AccountType } from '../../src/gen/payment/v1/account.ts';
import { connectRedis, connectRedisForJobs, type RedisClient } from '../../src/infra/redis/connection.ts';
import { RedisOutboxHint } from '../../src/infra/redis/outbox-hint.ts';
import { redisSignals } from '../../src/infra/redis/signals.ts';
import { limiterDecisions, RedisTokenBuckets } from '../../src/infra/redis/token-bucket.ts';
import { JobRunner } from '../../src/relay/job-runner.ts';
import { jobMetrics } from '../../src/relay/metrics.ts';
import { consumeEvents } from '../../tools/events.ts';
import { createAuthority } from '../support/certificates.ts';
import { fallbacks } from '../support/limiter.ts';
import { UNREPORTED } from '../support/outage.ts';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.ts';
import { silent } from '../support/relay.ts';
import { createSystem } from '../support/system.ts';

/** What .env.example says that the user of both processes needs on a cluster. */
const RIGHTS =
  '~payment-ledger* ~{payment-ledger}:* resetchannels &payment-ledger:* +@all -@dangerous +info +cluster|slots +cluster|info';

let cluster: RedisCluster;
let environment: Record<string, string>;

beforeAll(async () => {
  cluster = await startRedisCluster();
  for (const { operator } of [...cluster.primaries, cluster.replica]) {
    await operator.call('ACL', 'SETUSER', 'ledger', 'on', '>planted@acl', ...RIGHTS.split(' '));
  }
  // Nothing listens on the first address: the next node is asked.
  environment = {
    REDIS_URL: 'rediss://ledger@unused.invalid',
    REDIS_PASSWORD: 'planted@acl',
    REDIS_TLS_CA: cluster.ca,
    REDIS_CLUSTER_NODES: `127.0.0.1:1,127.0.0.1:${cluster.primaries[1]!.port}`,
  };
});

afterAll(() => cluster?.stop());

const address = () => redisAddress(loadApiConfig({ DATABASE_URL: 'postgres://none', ...environment }));

async function connected(): Promise<RedisClient> {
  const redis = connectRedis(address(), silent);
  await new Promise<void>((resolve) => redis.once('ready', () => resolve()));
  return redis;
}

function limiterOn(redis: RedisClient, settings = { capacity: 1_000, refillPerSecond: 1 }) {
  const registry = new Registry();
  const limiter = new RedisTokenBuckets(redis, settings, limiterDecisions(registry), UNREPORTED);
  return {
    take: (payers: readonly string[]) => Promise.all(payers.map((payer) => limiter.take(payer))),
    fallbacks: () => fallbacks(registry),
  };
}

function newPayers(count: number): string[] {
  return Array.from({ length: count }, () => `payer-${randomUUID()}`);
}

test('tokens of many payers are taken in their buckets, which are on all nodes and shared by replicas', async () => {
  const redis = await Promise.all([connected(), connected()]);
  try {
    const settings = { capacity: 3, refillPerSecond: 1 };
    const replicas = redis.map((connection) => limiterOn(connection, settings));
    // Each payer asks four times, twice on each replica, and has three tokens.
    const round = async () => {
      const asked = newPayers(100).flatMap((payer) => [payer, payer]);
      const waits = (await Promise.all(replicas.map(({ take }) => take(asked)))).flat();
      return waits.filter((retryAfterMs) => retryAfterMs > 0 && retryAfterMs <= 1_000).length;
    };
    // Again for as long as a node is connected to or slow, for then buckets of each process decide.
    await expect.poll(round, { timeout: 30_000, interval: 1_000 }).toBe(100);
    const before = await Promise.all(replicas.map(({ fallbacks }) => fallbacks()));
    await expect.poll(round, { timeout: 30_000, interval: 1_000 }).toBe(100);
    expect(await Promise.all(replicas.map(({ fallbacks }) => fallbacks()))).toEqual(before);
    const buckets = await Promise.all(
      cluster.primaries.map(({ operator }) => operator.keys('payment-ledger:bucket:*')),
    );
    for (const keys of buckets) expect(keys.length).toBeGreaterThan(20);
  } finally {
    for (const connection of redis) connection.disconnect();
  }
});

test('a batch takes tokens of buckets on all nodes, or gives back those that it took', async () => {
  const redis = await connected();
  try {
    const registry = new Registry();
    const settings = { capacity: 3, refillPerSecond: 0.001 };
    const limiter = new RedisTokenBuckets(redis, settings, limiterDecisions(registry), UNREPORTED);
    const payers = newPayers(50);
    const three = (accounts: readonly string[]) => new Map(accounts.map((account) => [account, 3]));
    const [empty] = payers as [string];
    const round = async () => {
      const before = await fallbacks(registry);
      const others = newPayers(50);
      await limiter.takeAll(new Map([[empty, 3]]));
      // One of fifty lacks its tokens, so the others have theirs afterwards.
      const shortage = await limiter.takeAll(three([...others, empty]));
      const left = await limiter.takeAll(three(others));
      return (await fallbacks(registry)) === before && shortage?.accountId === empty && left === undefined;
    };
    // Again for as long as a node is connected to or slow, for then buckets of the process decide.
    await expect.poll(round, { timeout: 30_000, interval: 1_000 }).toBe(true);
  } finally {
    redis.disconnect();
  }
});

test.each([
  ['another authority', { REDIS_TLS_CA: createAuthority().cert }, 'self-signed certificate in certificate chain'],
  ['a wrong password', { REDIS_PASSWORD: 'planted-wrong' }, 'WRONGPASS'],
])('the log says why the cluster is unreachable with %s, and no secret', async (_, changes, reason) => {
  const config = loadApiConfig({ DATABASE_URL: 'postgres://none', ...environment, ...changes });
  const output: string[] = [];
  const warn = (fields: { err?: Error; server?: string }, message: string) =>
    output.push(`${message} ${fields.server}: ${fields.err}`);
  const redis = connectRedis(redisAddress(config), { info: () => undefined, warn });
  try {
    const server = `127.0.0.1:${cluster.primaries[1]!.port}`;
    await expect
      .poll(() => output)
      .toContainEqual(expect.stringContaining(`no connection to this Redis server ${server}:`));
    expect(output.join('\n')).toContain(reason);
    expect(output.join('\n')).not.toContain('planted');
  } finally {
    redis.disconnect();
  }
});

test('both processes limit, hint and do jobs on a cluster, with the rights of one ACL user', async () => {
  const system = await createSystem();
  try {
    const limit = { RATE_LIMIT_CAPACITY: '1000', RATE_LIMIT_REFILL_PER_SECOND: '1' };
    const api = await system.startApi({ ...environment, ...limit });
    // Only a hint makes it look within the test's time.
    const relay = await system.startRelay({ ...environment, RELAY_POLL_MS: '60000', LOG_LEVEL: 'debug' });
    await api.client.open('world', { type: AccountType.ACCOUNT_TYPE_EXTERNAL });
    await api.client.open('shop');
    const consumer = await consumeEvents(inject('kafkaBrokers'), system.topic);
    const pay = () => api.client.authorize({ payerAccountId: 'shop', payeeAccountId: 'world', amountCents: 1n });
    await expect.poll(async () => [await pay(), consumer.events.length][1]).toBeGreaterThan(0);
    await consumer.close();
    const bucket = async () =>
      (await Promise.all(cluster.primaries.map(({ operator }) => operator.keys('*:shop')))).flat();
    // A bucket is full again, and its key gone, within seconds; while Redis is slow there is none.
    await expect.poll(async () => [await pay(), (await bucket()).length][1]).toBe(1);
    const jobDone = () => relay.log.some((line) => line.includes('job done'));
    await expect.poll(jobDone).toBe(true);
    const output = [...api.log, ...relay.log].join('\n');
    expect(output).not.toContain('NOPERM');
    expect(output).not.toContain('planted');
  } finally {
    await system.close();
  }
});

test('limiter, hints and jobs go on when a replica takes over; until then other nodes keep their buckets', async () => {
  const api = await connected();
  const limiter = limiterOn(api);
  const outboxHint = new RedisOutboxHint(api, new Registry());
  const workers = [redisSignals(address(), silent), redisSignals(address(), silent)] as const;
  const heard = { committed: 0, shardsChanged: 0 };
  workers[0].onCommitted(() => (heard.committed += 1));
  workers[0].onShardsChanged(() => (heard.shardsChanged += 1));
  let runs = 0;
  const job = { name: 'count', everyMs: 200, run: async () => ({ runs: ++runs }) };
  const jobs = { redis: connectRedisForJobs(address(), silent), queue: 'payment-ledger-test', rescheduleMs: 1_000 };
  const runner = new JobRunner([job], jobs, jobMetrics(new Registry()), silent);
  runner.start();

  /** How many of 200 payers' tokens came from buckets of this process. */
  const local = async () => {
    const before = await limiter.fallbacks();
    await limiter.take(newPayers(200));
    return (await limiter.fallbacks()) - before;
  };
  const allWork = async () => {
    await expect.poll(local, { timeout: 30_000, interval: 200 }).toBe(0);
    const { committed, shardsChanged } = heard;
    const hinted = () => {
      outboxHint.committed();
      workers[1].shardsChanged();
      return heard.committed > committed && heard.shardsChanged > shardsChanged;
    };
    await expect.poll(hinted).toBe(true);
    const before = runs;
    await expect.poll(() => runs).toBeGreaterThan(before + 3);
  };
  try {
    await allWork();
    await cluster.primaries[0]!.server.kill();
    // Some groups of buckets are on the node that is gone, and the others go on.
    const share = await local();
    expect(share).toBeGreaterThan(0);
    expect(share).toBeLessThan(150);
    await expect.poll(() => cluster.replica.operator.info('replication')).toContain('role:master');
    await allWork();
  } finally {
    api.disconnect();
    await Promise.all([...workers.map((worker) => worker.close()), runner.stop()]);
  }
}, 120_000);
