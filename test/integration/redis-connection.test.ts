import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { connectRedis } from '../../src/infra/redis/connection.ts';
import { redisSignals } from '../../src/infra/redis/signals.ts';
import { cacheFolder } from '../../tools/stack/cache.ts';
import { freePorts } from '../../tools/stack/free-port.ts';
import { redisProgram, startRedis } from '../../tools/stack/redis.ts';
import { silent } from '../support/relay.ts';

test('a server that was demoted to a replica is left, and its address is connected to again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'payment-ledger-redis-'));
  const [port] = (await freePorts(1)) as [number];
  const program = await redisProgram(cacheFolder(process.env), () => undefined);
  const server = await startRedis(folder, port, program);
  const operator = new Redis(server.address);
  const redis = connectRedis({ url: server.address }, silent);
  try {
    await new Promise((resolve) => redis.once('ready', resolve));
    const before = await redis.client('ID');
    await operator.replicaof('127.0.0.1', 1);
    // It fails, as the connection is given up.
    await expect(redis.set('key', 'value')).rejects.toThrow();
    await operator.replicaof('NO', 'ONE');
    // While it connects again, perhaps more than once, commands are rejected at once.
    const written = () => redis.set('key', 'value').catch((error: Error) => error.message);
    await expect.poll(written).toBe('OK');
    expect(await redis.client('ID')).not.toBe(before);
  } finally {
    redis.disconnect();
    operator.disconnect();
    await server.stop();
    await rm(folder, { recursive: true });
  }
});

test('connections for hints alone leave a replica too, though it takes their commands', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'payment-ledger-redis-'));
  const [port] = (await freePorts(1)) as [number];
  const program = await redisProgram(cacheFolder(process.env), () => undefined);
  const server = await startRedis(folder, port, program);
  const operator = new Redis(server.address);
  const signals = redisSignals({ url: server.address }, silent);
  let hints = 0;
  signals.onShardsChanged(() => (hints += 1));
  const connections = async () => {
    const lines = ((await operator.client('LIST')) as string).trim().split('\n');
    return lines.filter((line) => /cmd=(subscribe|publish|info)/.test(line)).map((line) => /^id=(\d+)/.exec(line)![1]);
  };
  const hinted = () => {
    signals.shardsChanged();
    return hints;
  };
  try {
    await expect.poll(hinted).toBeGreaterThan(0);
    const before = await connections();
    expect(before).toHaveLength(2);
    await operator.replicaof('127.0.0.1', 1);
    await expect.poll(async () => (await connections()).filter((id) => before.includes(id))).toEqual([]);
    await operator.replicaof('NO', 'ONE');
    hints = 0;
    await expect.poll(hinted).toBeGreaterThan(0);
  } finally {
    await signals.close();
    operator.disconnect();
    await server.stop();
    await rm(folder, { recursive: true });
  }
});
