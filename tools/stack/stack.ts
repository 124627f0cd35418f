import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, type OnProgress } from './cache.ts';
import { onFreePorts } from './free-port.ts';
import { KAFKA_WAYS, kafkaJars, kafkaMissing, startKafka } from './kafka.ts';
import { endLeftover } from './leftover.ts';
import { own, ownerOf } from './ownership.ts';
import { postgresMissing, startPostgres } from './postgres.ts';
import { REDIS_DATABASES, REDIS_WAYS, redisMissing, redisProgram, startRedis } from './redis.ts';
import { foreignServer, type Server } from './server.ts';
import { standIn } from './server-user.ts';

const OWNER_FILE = 'owner.pid';

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
  /** Ports for those started here, in place of free ones. */
  readonly ports?: StackPorts;
  readonly onProgress?: OnProgress;
}

export type StackPorts = Readonly<Partial<Record<'postgres' | 'redis' | 'kafka', number>>>;

type Addresses = Readonly<Record<'postgres' | 'redis' | 'kafka', string | undefined>>;

/**
 * Starts Postgres, Redis and Kafka on free ports of loopback, unless the environment
 * names them. Throws one error that lists everything this machine lacks, before
 * anything is started; if one server fails, the others are stopped again.
 */
export async function startStack({
  dataDir,
  env = process.env,
  ports: fixed = {},
  onProgress = () => undefined,
}: StackOptions): Promise<Stack> {
  const addresses = { postgres: env['DATABASE_URL'], redis: env['REDIS_URL'], kafka: env['KAFKA_BROKERS'] };
  const cache = cacheFolder(env);
  refuseIfMissing(addresses, (name) => existsSync(join(cache, name)));
  await mkdir(dataDir, { recursive: true });
  const unlock = await lock(dataDir);
  const programs = await fetchPrograms(addresses, cache, onProgress).catch(async (error) => {
    await unlock();
    throw error;
  });

  const started: Server[] = [];
  const begin = async (
    name: string,
    address: string | undefined,
    portCount: number,
    start: (ports: number[]) => Promise<Server>,
    port: number | undefined,
  ) => {
    if (address) return foreignServer(name, address);
    const since = Date.now();
    onProgress(`starting ${name}`);
    const server = await onFreePorts(portCount, start, port);
    started.push(server);
    onProgress(`${name} is up after ${((Date.now() - since) / 1000).toFixed(1)} s`);
    return server;
  };
  const stop = async () => {
    try {
      await Promise.all(started.map((server) => server.stop()));
    } finally {
      await unlock();
    }
  };

  const folder = (name: string) => join(dataDir, name);
  const starts = [
    begin('Postgres', addresses.postgres, 1, ([port]) => startPostgres(folder('postgres'), port!), fixed.postgres),
    begin(
      'Redis',
      addresses.redis,
      1,
      ([port]) => startRedis(folder('redis'), port!, programs.redis, ['--databases', String(REDIS_DATABASES)]),
      fixed.redis,
    ),
    begin(
      'Kafka',
      addresses.kafka,
      2,
      ([port, controllerPort]) => startKafka(folder('kafka'), [port!, controllerPort!], programs.kafka),
      fixed.kafka,
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

function refuseIfMissing(addresses: Addresses, isCached: (name: string) => boolean): void {
  const missing = [
    addresses.postgres ? undefined : postgresMissing(),
    addresses.redis ? undefined : redisMissing(isCached),
    addresses.kafka ? undefined : kafkaMissing(isCached),
  ];
  if (missing.some((reason) => reason !== undefined)) throw listed('Not everything that is needed is here:', missing);
}

/** Fetches what is started here and not in the cache yet. Throws one error for all that could not be fetched. */
async function fetchPrograms(
  addresses: Addresses,
  cache: string,
  onProgress: OnProgress,
): Promise<{ redis: string; kafka: string }> {
  const unused = Promise.resolve('');
  const [redis, kafka] = await Promise.allSettled([
    addresses.redis ? unused : redisProgram(cache, onProgress),
    addresses.kafka ? unused : kafkaJars(cache, onProgress),
  ]);
  if (redis.status === 'fulfilled' && kafka.status === 'fulfilled') return { redis: redis.value, kafka: kafka.value };
  const failures = [
    redis.status === 'rejected' ? `Redis: ${reason(redis)}\n    ${REDIS_WAYS}` : undefined,
    kafka.status === 'rejected'
      ? `Kafka: ${reason(kafka)}\n    Fetch it once with a network, ${KAFKA_WAYS}`
      : undefined,
  ];
  throw listed('Not everything that is needed could be fetched. Is there a network?', failures);
}

function reason({ reason: error }: PromiseRejectedResult): string {
  return error instanceof Error ? error.message : String(error);
}

function listed(title: string, items: readonly (string | undefined)[]): Error {
  const lines = items.filter((item) => item !== undefined).map((item) => `  - ${item}\n`);
  return new Error(`${title}\n${lines.join('')}`);
}

/** Makes the folder ours while we live; returns what gives it back. Throws if it is someone's already. */
async function lock(dataDir: string): Promise<() => Promise<void>> {
  const result = await own(join(dataDir, OWNER_FILE));
  if (typeof result === 'number') throw inUse(dataDir, result);
  return result;
}

/** Removes a stack's data, wherever it is kept. Throws if the stack is running. */
export async function removeData(dataDir: string): Promise<void> {
  const owner = await ownerOf(join(dataDir, OWNER_FILE));
  if (owner !== undefined) throw inUse(dataDir, owner);
  // Servers whose owner was killed a moment ago may still be writing.
  for (const name of ['postgres', 'redis', 'kafka']) await endLeftover(join(dataDir, name, `${name}.pid`));
  await rm(standIn(join(dataDir, 'postgres')), { recursive: true, force: true });
  await rm(dataDir, { recursive: true, force: true });
}

function inUse(dataDir: string, owner: number): Error {
  return new Error(`The servers in ${dataDir} are in use by process ${owner}. Stop it first (Ctrl-C where it runs).`);
}
