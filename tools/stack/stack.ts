import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, type OnProgress } from './cache.ts';
import { freePorts } from './free-port.ts';
import { kafkaMissing, startKafka } from './kafka.ts';
import { postgresMissing, startPostgres } from './postgres.ts';
import { redisMissing, startRedis } from './redis.ts';
import { foreignServer, type Server } from './server.ts';
import { standIn } from './server-user.ts';

/** The three servers that the system stands on. */
export interface Stack {
  readonly postgres: Server;
  readonly redis: Server;
  readonly kafka: Server;
  /** Stops those that were started here. */
  stop(): Promise<void>;
}

export interface StackOptions {
  /** Where the servers keep their data; one stack at a time. */
  readonly dataDir: string;
  /** DATABASE_URL, REDIS_URL and KAFKA_BROKERS in it win over servers of our own. */
  readonly env?: NodeJS.ProcessEnv;
  readonly onProgress?: OnProgress;
}

/**
 * Starts Postgres, Redis and Kafka on free ports of loopback, unless the environment
 * names them. Throws one error that lists everything this machine lacks, before
 * anything is started; if one server fails, the others are stopped again.
 */
export async function startStack({
  dataDir,
  env = process.env,
  onProgress = () => undefined,
}: StackOptions): Promise<Stack> {
  const addresses = { postgres: env['DATABASE_URL'], redis: env['REDIS_URL'], kafka: env['KAFKA_BROKERS'] };
  const cache = cacheFolder(env);
  refuseIfMissing(addresses, (name) => existsSync(join(cache, name)));
  await mkdir(dataDir, { recursive: true });
  const unlock = await lock(dataDir);

  const [postgresPort, redisPort, kafkaPort, controllerPort] = (await freePorts(4)) as [number, number, number, number];
  const started: Server[] = [];
  const begin = async (name: string, address: string | undefined, start: () => Promise<Server>) => {
    if (address) return foreignServer(name, address);
    const since = Date.now();
    onProgress(`starting ${name}`);
    const server = await start();
    started.push(server);
    onProgress(`${name} is up after ${((Date.now() - since) / 1000).toFixed(1)} s`);
    return server;
  };
  const stop = async () => {
    await Promise.all(started.map((server) => server.stop()));
    await unlock();
  };

  const starts = [
    begin('Postgres', addresses.postgres, () => startPostgres(join(dataDir, 'postgres'), postgresPort)),
    begin('Redis', addresses.redis, () => startRedis(join(dataDir, 'redis'), redisPort, cache, onProgress)),
    begin('Kafka', addresses.kafka, () =>
      startKafka(join(dataDir, 'kafka'), [kafkaPort, controllerPort], cache, onProgress),
    ),
  ] as const;
  try {
    const [postgres, redis, kafka] = await Promise.all(starts);
    return { postgres, redis, kafka, stop };
  } catch (error) {
    // The others may still be starting; only then can they be stopped.
    await Promise.allSettled(starts);
    await stop();
    throw error;
  }
}

function refuseIfMissing(
  addresses: Readonly<Record<'postgres' | 'redis' | 'kafka', string | undefined>>,
  isCached: (name: string) => boolean,
): void {
  const missing = [
    addresses.postgres ? undefined : postgresMissing(),
    addresses.redis ? undefined : redisMissing(isCached),
    addresses.kafka ? undefined : kafkaMissing(isCached),
  ].filter((reason) => reason !== undefined);
  if (missing.length > 0)
    throw new Error(`Not everything that is needed is here:\n${missing.map((reason) => `  - ${reason}\n`).join('')}`);
}

/** Makes the folder ours while we live; returns what gives it back. */
async function lock(dataDir: string): Promise<() => Promise<void>> {
  const file = join(dataDir, 'owner.pid');
  const owner = await ownerOf(dataDir);
  if (owner !== undefined) throw inUse(dataDir, owner);
  await writeFile(file, `${process.pid} ${await startedAt(process.pid)}`);
  return () => rm(file, { force: true });
}

/** Removes a stack's data, wherever it is kept. Throws if the stack is running. */
export async function removeData(dataDir: string): Promise<void> {
  const owner = await ownerOf(dataDir);
  if (owner !== undefined) throw inUse(dataDir, owner);
  await rm(standIn(join(dataDir, 'postgres')), { recursive: true, force: true });
  await rm(dataDir, { recursive: true, force: true });
}

function inUse(dataDir: string, owner: number): Error {
  return new Error(`The servers in ${dataDir} are in use by process ${owner}. Stop it first (Ctrl-C where it runs).`);
}

/** The process that runs a stack in the folder, if it is alive. */
async function ownerOf(dataDir: string): Promise<number | undefined> {
  const text = await readFile(join(dataDir, 'owner.pid'), 'utf8').catch(() => '');
  const [pid, since] = text.split(' ');
  if (pid === undefined || since === undefined || Number(pid) === process.pid) return undefined;
  return (await startedAt(Number(pid))) === since ? Number(pid) : undefined;
}

/** When the process started, in clock ticks since boot; tells it from a later one with the same id. Empty if it is gone. */
async function startedAt(pid: number): Promise<string> {
  if (process.platform === 'linux') {
    // Field 22; the name before it, in parentheses, may hold spaces.
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    return stat.slice(stat.lastIndexOf(')')).split(' ')[20] ?? '';
  }
  try {
    process.kill(pid, 0);
    return 'running';
  } catch {
    return '';
  }
}
