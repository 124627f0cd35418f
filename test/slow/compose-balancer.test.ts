import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { LedgerClient } from '../../tools/client.ts';
import { unpackedPackages } from '../../tools/debian-package.ts';
import { which } from '../../tools/stack/cache.ts';
import { freePorts } from '../../tools/stack/free-port.ts';
import { GuardedProcess } from '../../tools/stack/guarded-process.ts';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { shown } from '../support/metrics.ts';
import { type Service, startApi } from '../support/processes.ts';

/** HAProxy from the path, or Debian's packages unpacked into the cache. A text says why there is none. */
async function findHaproxy(): Promise<{ command: string; env: Record<string, string> } | string> {
  const installed = which('haproxy');
  if (installed !== undefined) return { command: installed, env: {} };
  const packages = ['haproxy', 'liblua5.3-0', 'libopentracing1', 'libopentracing-c-wrapper0'];
  const unpacked = await unpackedPackages('haproxy', packages);
  if (typeof unpacked === 'string') return unpacked;
  const architecture = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  return {
    command: join(unpacked.folder, 'usr/sbin/haproxy'),
    env: { LD_LIBRARY_PATH: join(unpacked.folder, 'usr/lib', `${architecture}-linux-gnu`) },
  };
}

const haproxy = await findHaproxy();
if (typeof haproxy === 'string') console.error(`skipped: the balancer of docker-compose.yml: ${haproxy}`);

describe.skipIf(typeof haproxy === 'string')('the balancer of docker-compose.yml', () => {
  let database: TestDatabase;
  let replicas: Service[];
  let balancer: GuardedProcess;
  let folder: string;
  let client: LedgerClient;

  beforeAll(async () => {
    database = await createDatabase();
    const env = {
      DATABASE_URL: applicationAddress(database.url),
      REDIS_URL: inject('redisUrl'),
      // Longer than in docker-compose.yml: a busy machine may be late to check.
      SHUTDOWN_DRAIN_MS: '15000',
    };
    replicas = await Promise.all([startApi(env), startApi(env)]);
    folder = await mkdtemp(join(tmpdir(), 'payment-ledger-balancer-'));
    const [port] = (await freePorts(1)) as [number];
    await writeFile(join(folder, 'haproxy.cfg'), await configuration(port, replicas));
    const { command, env: libraries } = haproxy as Exclude<typeof haproxy, string>;
    balancer = new GuardedProcess({
      name: 'HAProxy',
      command,
      args: ['-db', '-f', join(folder, 'haproxy.cfg')],
      env: libraries,
      logFile: join(folder, 'haproxy.log'),
      stopSignal: 'SIGTERM',
    });
    await balancer.start();
    client = new LedgerClient(`127.0.0.1:${port}`);
    await untilOpened(client);
  });

  afterAll(async () => {
    client?.close();
    await balancer?.stop();
    await Promise.all((replicas ?? []).map((replica) => replica.stop()));
    await database?.close();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  test('spreads the calls of one connection over the replicas, and loses none when one stops', async () => {
    const pay = () =>
      client.authorize({ payerAccountId: 'external-RUB', payeeAccountId: 'acc-1', amountCents: 1n, currency: 'RUB' });
    for (let i = 0; i < 20; i += 1) await pay();
    for (const { ready } of replicas) {
      const handled = await shown(String(ready['metricsAddress']), 'grpc_server_handled_total');
      const payments = Object.entries(handled).filter(([labels]) => labels.includes('AuthorizePayment'));
      expect(payments.reduce((sum, [, count]) => sum + count, 0)).toBeGreaterThan(0);
    }

    let stopped = false;
    let paid = 0;
    const calling = Array.from({ length: 4 }, async () => {
      while (!stopped) {
        await pay();
        paid += 1;
      }
    });
    const ended = replicas[0]!.stop().finally(() => {
      stopped = true;
    });
    await Promise.all(calling);
    expect(await ended).toBe(0);
    expect(paid).toBeGreaterThan(0);
    const { availableBalanceCents } = await client.balance('acc-1');
    expect(availableBalanceCents).toBe(BigInt(paid + 20 + 1));
  });
});

/** deploy/compose/haproxy.cfg, with a port and servers of ours in place of Compose's. */
async function configuration(port: number, replicas: readonly Service[]): Promise<string> {
  const file = await readFile(new URL('../../deploy/compose/haproxy.cfg', import.meta.url), 'utf8');
  const [template, before, after] = /^ {2}server-template .*? api:50051 (.*) port 9465 (.*) resolvers .*$/m.exec(file)!;
  const servers = replicas.map(({ ready }, index) => {
    const metricsPort = String(ready['metricsAddress']).split(':').at(-1);
    return `  server api${index} ${ready['address']} ${before} port ${metricsPort} ${after}`;
  });
  return file.replace('bind :50051', `bind 127.0.0.1:${port}`).replace(template, servers.join('\n'));
}

/** Opens the accounts as soon as the balancer has found a replica that is ready. */
async function untilOpened(client: LedgerClient): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    try {
      return await client.openFunded('acc-1', 1n);
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resume) => setTimeout(resume, 100));
    }
  }
}
