import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePorts } from '../../tools/stack/free-port.ts';
import { removeData, startStack } from '../../tools/stack/stack.ts';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'payment-ledger-stack-'));
});
afterEach(() => removeData(dataDir));

/** The environment without servers of others, and with a Kafka that nobody will ask for. */
const env = { ...process.env, DATABASE_URL: '', REDIS_URL: '', KAFKA_BROKERS: '127.0.0.1:1' };

async function listens(address: string): Promise<boolean> {
  const { port } = new URL(address);
  const socket = connect(Number(port), '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function untilNobodyListens(addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    const deadline = Date.now() + 20_000;
    while (await listens(address)) {
      if (Date.now() > deadline) throw new Error(`${address} still listens`);
      await new Promise((resume) => setTimeout(resume, 50));
    }
  }
}

test('data survives a restart, and stop leaves nothing that listens', async () => {
  const first = await startStack({ dataDir, env });
  const addresses = [first.postgres.address, first.redis.address];
  await first.stop();
  await untilNobodyListens(addresses);
  const second = await startStack({ dataDir, env });
  expect(await listens(second.postgres.address)).toBe(true);
  await second.stop();
});

test('servers get the ports that they are given', async () => {
  const [postgres, redis] = (await freePorts(2)) as [number, number];
  const stack = await startStack({ dataDir, env, ports: { postgres, redis } });
  expect([stack.postgres.address, stack.redis.address].map((address) => Number(new URL(address).port))).toEqual([
    postgres,
    redis,
  ]);
  await stack.stop();
});

test('servers end with their owner, even one that is killed', async () => {
  const owner = spawn(process.execPath, ['test/support/stack-owner.ts', dataDir], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(owner.stdout), 'line')) as [string];
  const addresses: string[] = JSON.parse(line);
  expect(await Promise.all(addresses.map(listens))).toEqual([true, true]);
  await expect(startStack({ dataDir, env })).rejects.toThrow(`in use by process ${owner.pid}`);
  owner.kill('SIGKILL');
  await untilNobodyListens(addresses);
});

test('what was started is stopped when another server fails', async () => {
  // A Java that is new enough to begin with, and then breaks.
  const bin = join(dataDir, 'bin');
  await mkdir(bin, { recursive: true });
  await writeFile(join(bin, 'java'), '#!/bin/sh\n[ "$1" = --version ] && echo "openjdk 21 2023-09-19" || exit 1\n');
  await chmod(join(bin, 'java'), 0o755);
  const path = process.env['PATH'];
  process.env['PATH'] = `${bin}:${path}`;
  const progress: string[] = [];
  try {
    const onProgress = (message: string) => progress.push(message);
    await expect(startStack({ dataDir, env: { ...env, KAFKA_BROKERS: '' }, onProgress })).rejects.toThrow();
  } finally {
    process.env['PATH'] = path;
  }
  expect(progress.join()).toContain('Postgres is up');
  // The folder is free again, which it would not be beside a Postgres that still runs.
  const stack = await startStack({ dataDir, env });
  await stack.stop();
});

test('everything that is missing is named at once, with the ways to provide it, before anything starts', async () => {
  const empty = await mkdtemp(join(tmpdir(), 'payment-ledger-empty-'));
  const path = process.env['PATH'];
  process.env['PATH'] = empty;
  const progress: string[] = [];
  try {
    const bare = { DATABASE_URL: '', REDIS_URL: '', KAFKA_BROKERS: '', PAYMENT_LEDGER_CACHE: empty };
    const failure: Error = await startStack({
      dataDir,
      env: bare,
      onProgress: (message) => progress.push(message),
    }).then(
      () => expect.unreachable(),
      (error) => error,
    );
    expect(failure.message).toMatch(/Redis: .*REDIS_URL/);
    expect(failure.message).toMatch(/Kafka: .*Java 17.*KAFKA_BROKERS/);
  } finally {
    process.env['PATH'] = path;
    await rm(empty, { recursive: true });
  }
  expect(progress).toEqual([]);
});
