import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { cacheFolder } from '../../tools/stack/cache.ts';
import { freePorts } from '../../tools/stack/free-port.ts';
import { redisProgram, startRedis } from '../../tools/stack/redis.ts';
import type { Server } from '../../tools/stack/server.ts';
import { createAuthority } from './certificates.ts';

const SLOTS = 16_384;
const PRIMARIES = 3;

export interface RedisClusterNode {
  readonly server: Server;
  /** For TLS; it is the one by which nodes are announced. */
  readonly port: number;
  /** By another port, in the clear. */
  readonly operator: Redis;
}

/** Three primaries with a third of the slots each, and a replica of the first one. All talk to each other over TLS. */
export interface RedisCluster {
  /** Of the authority that issued their certificates, in PEM. */
  readonly ca: string;
  readonly primaries: readonly RedisClusterNode[];
  readonly replica: RedisClusterNode;
  stop(): Promise<void>;
}

export async function startRedisCluster(): Promise<RedisCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'payment-ledger-cluster-'));
  const program = await redisProgram(cacheFolder(process.env), () => undefined);
  const authority = createAuthority();
  const { cert, key } = authority.issue({ ipAddresses: ['127.0.0.1'] });
  for (const [name, content] of Object.entries({ ca: authority.cert, cert, key })) {
    await writeFile(join(folder, name), content);
  }
  const nodes: RedisClusterNode[] = [];
  for (const port of await busPorts(PRIMARIES + 1)) {
    const settings = [
      ...['--cluster-enabled', 'yes', '--cluster-node-timeout', '1500', '--repl-diskless-sync-delay', '0'],
      ...['--tls-port', String(port), '--tls-cluster', 'yes', '--tls-replication', 'yes', '--tls-auth-clients', 'no'],
      ...['--tls-cert-file', join(folder, 'cert'), '--tls-key-file', join(folder, 'key')],
      ...['--tls-ca-cert-file', join(folder, 'ca')],
    ];
    const [plainPort] = (await freePorts(1)) as [number];
    const server = await startRedis(join(folder, String(port)), plainPort, program, settings);
    const operator = new Redis(server.address);
    // A node may be stopped by the test.
    operator.on('error', () => undefined);
    nodes.push({ server, port, operator });
  }
  const primaries = nodes.slice(0, PRIMARIES);
  const replica = nodes[PRIMARIES]!;
  for (const [index, { operator }] of nodes.entries()) {
    await operator.cluster('SET-CONFIG-EPOCH', index + 1);
    await operator.cluster('MEET', '127.0.0.1', nodes[0]!.port);
  }
  for (const [index, { operator }] of primaries.entries()) {
    const [first, end] = [index, index + 1].map((part) => Math.floor((part * SLOTS) / PRIMARIES)) as [number, number];
    await operator.cluster('ADDSLOTS', ...Array.from({ length: end - first }, (_, slot) => first + slot));
  }
  const firstId = String(await primaries[0]!.operator.cluster('MYID'));
  await until(async () => String(await replica.operator.cluster('NODES')).includes(firstId));
  await replica.operator.cluster('REPLICATE', firstId);
  for (const { operator } of nodes) {
    await until(async () => String(await operator.cluster('INFO')).includes('cluster_state:ok'));
  }
  await until(async () => (await replica.operator.info('replication')).includes('master_link_status:up'));
  return {
    ca: authority.cert,
    primaries,
    replica,
    async stop() {
      for (const { operator, server } of nodes) {
        operator.disconnect();
        await server.stop();
      }
      await rm(folder, { recursive: true });
    },
  };
}

/** Ports whose neighbours 10,000 further up, where nodes talk to each other, no outgoing connection takes. */
async function busPorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(...(await freePorts(1)).filter((port) => port < 22_000));
  return ports;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`The cluster did not form: ${condition}`);
    await sleep(50);
  }
}
