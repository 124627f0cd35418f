import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadApiConfig, redisAddress } from '../../src/config.ts';
import { connectRedis, connectRedisForJobs } from '../../src/infra/redis/connection.ts';
import { RedisOutboxHint } from '../../src/infra/redis/outbox-hint.ts';
import { redisSignals } from '../../src/infra/redis/signals.ts';
import { limiterDecisions, RedisTokenBuckets } from '../../src/infra/redis/token-bucket.ts';
import { JobRunner } from '../../src/relay/job-runner.ts';
import { jobMetrics } from '../../src/relay/metrics.ts';
import { cacheFolder } from '../../tools/stack/cache.ts';
import { freePorts } from '../../tools/stack/free-port.ts';
import { redisProgram, startRedis, startSentinel } from '../../tools/stack/redis.ts';
import type { Server } from '../../tools/stack/server.ts';
import { UNREPORTED } from '../support/outage.ts';
import { silent } from '../support/relay.ts';

let folder: string;
let servers: [Server, Server];
let operators: [Redis, Redis];
let sentinel: Server;
let sentinelOperator: Redis;
let address: ReturnType<typeof redisAddress>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'payment-ledger-sentinel-'));
  const ports = (await freePorts(4)) as [number, number, number, number];
  const program = await redisProgram(cacheFolder(process.env), () => undefined);
  const replicaOf = ['--replicaof', '127.0.0.1', String(ports[0])];
  servers = [
    await startRedis(join(folder, 'first'), ports[0], program),
    await startRedis(join(folder, 'second'), ports[1], program, [...replicaOf, '--repl-diskless-sync-delay', '0']),
  ];
  sentinel = await startSentinel(join(folder, 'sentinel'), ports[2], program, ports[0]);
  operators = [new Redis(servers[0].address), new Redis(servers[1].address)];
  for (const redis of operators) redis.on('error', () => undefined);
  sentinelOperator = new Redis(sentinel.address);
  // Nothing listens on the first address: the next Sentinel is asked.
  const { DATABASE_URL, REDIS_URL } = { DATABASE_URL: 'postgres://none', REDIS_URL: 'redis://nowhere.invalid/3' };
  const REDIS_SENTINELS = `127.0.0.1:${ports[3]},127.0.0.1:${ports[2]}`;
  address = redisAddress(loadApiConfig({ DATABASE_URL, REDIS_URL, REDIS_SENTINELS }));
});
afterAll(async () => {
  for (const redis of [...(operators ?? []), sentinelOperator]) redis?.disconnect();
  await sentinel?.stop();
  for (const server of servers ?? []) await server.stop();
  await rm(folder, { recursive: true });
});

/** The replica is in step with its primary, and Sentinel knows it as one that can take over. */
async function replicaReady(replica: Redis): Promise<void> {
  await expect.poll(() => replica.info('replication')).toContain('master_link_status:up');
  const flags = async () => {
    const replicas = (await sentinelOperator.call('SENTINEL', 'REPLICAS', 'mymaster')) as string[][];
    return replicas.map((fields) => fields[fields.indexOf('flags') + 1]);
  };
  await expect.poll(flags).toEqual(['slave']);
}

test('the limiter, the hints of both processes and the jobs go on with each new primary', async () => {
  const registry = new Registry();
  const api = connectRedis(address, silent);
  const limiter = new RedisTokenBuckets(
    api,
    { capacity: 1_000, refillPerSecond: 1 },
    limiterDecisions(registry),
    UNREPORTED,
  );
  const outboxHint = new RedisOutboxHint(api, registry);
  const workers = [redisSignals(address, silent), redisSignals(address, silent)] as const;
  const heard = { committed: 0, shardsChanged: 0 };
  workers[0].onCommitted(() => (heard.committed += 1));
  workers[0].onShardsChanged(() => (heard.shardsChanged += 1));
  let runs = 0;
  const job = { name: 'count', everyMs: 200, run: async () => ({ runs: ++runs }) };
  const jobs = { redis: connectRedisForJobs(address, silent), queue: 'jobs', rescheduleMs: 1_000 };
  const runner = new JobRunner([job], jobs, jobMetrics(registry), silent);
  runner.start();

  let payers = 0;
  const allWorkWith = async (primary: Redis) => {
    const taken = async () => {
      payers += 1;
      await limiter.take(`payer-${payers}`);
      return primary.hget(`payment-ledger:bucket:payer-${payers}`, 'tokens');
    };
    await primary.select(3);
    await expect.poll(taken, { timeout: 40_000 }).toBe('999000000');
    const { committed, shardsChanged } = heard;
    const hinted = () => {
      outboxHint.committed();
      workers[1].shardsChanged();
      return heard.committed > committed && heard.shardsChanged > shardsChanged;
    };
    await expect.poll(hinted, { timeout: 40_000 }).toBe(true);
    const before = runs;
    await expect.poll(() => runs, { timeout: 40_000 }).toBeGreaterThan(before + 3);
    // Hints go over the primary and no other server.
    await expect.poll(() => primary.pubsub('NUMSUB', 'payment-ledger:outbox')).toEqual(['payment-ledger:outbox', 2]);
  };
  try {
    await replicaReady(operators[1]);
    await allWorkWith(operators[0]);
    // In good order: the old primary lives on, as a replica.
    await sentinelOperator.call('SENTINEL', 'FAILOVER', 'mymaster');
    await expect.poll(() => operators[1].info('replication')).toContain('role:master');
    await allWorkWith(operators[1]);
    // Without a word: connections stay open, and nothing is answered on them.
    await replicaReady(operators[0]);
    process.kill(servers[1].pid, 'SIGSTOP');
    await allWorkWith(operators[0]);
    process.kill(servers[1].pid, 'SIGCONT');
    // By a crash.
    await replicaReady(operators[1]);
    await servers[0].kill();
    await allWorkWith(operators[1]);
  } finally {
    api.disconnect();
    await Promise.all([...workers.map((worker) => worker.close()), runner.stop()]);
  }
}, 240_000);
