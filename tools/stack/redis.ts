import { spawnSync } from 'node:child_process';
import { chmod, mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { cached, maven, type OnProgress, which } from './cache.ts';
import { GuardedProcess } from './guarded-process.ts';
import { type Server, startServer } from './server.ts';

const FETCHED = 'redis-6.2';

/** So many logical databases the stack's Redis has: more than there are test files, each of which takes one. */
export const REDIS_DATABASES = 1_000;

/** The builds that the jar of redis-pom.xml carries, by platform and architecture. */
const BUILDS: Readonly<Record<string, string>> = {
  'linux-x64': 'redis-server-*-linux-amd64',
  'linux-arm64': 'redis-server-*-linux-arm64',
  'darwin-x64': 'redis-server-*-darwin-amd64',
  'darwin-arm64': 'redis-server-*-darwin-arm64',
};
const BUILD = BUILDS[`${process.platform}-${process.arch}`];

/** How to provide Redis otherwise. */
export const REDIS_WAYS =
  'Install one (apt-get install redis-server, brew install valkey), or set REDIS_URL (docker-compose.yml has one).';

/** Why Redis cannot be started here, or undefined if it can. */
export function redisMissing(isCached: (name: string) => boolean): string | undefined {
  if (installed() !== undefined || isCached(FETCHED)) return undefined;
  if (BUILD !== undefined && which('mvn') !== undefined && which('java') !== undefined) return undefined;
  return (
    'Redis: there is no valkey-server or redis-server (6.2 or later) on the path, and no Maven with Java to fetch ' +
    `one with. ${REDIS_WAYS}`
  );
}

/** The server program: one that is installed here, or the one in the cache, fetched if need be. */
export async function redisProgram(cache: string, onProgress: OnProgress): Promise<string> {
  return installed() ?? (await fetched(cache, onProgress));
}

/** Starts Redis on data below folder. What it holds survives a restart. */
export async function startRedis(
  folder: string,
  port: number,
  command: string,
  settings: readonly string[] = [],
): Promise<Server> {
  return start('Redis', folder, port, command, [
    ...['--bind', '127.0.0.1', '--port', String(port), '--dir', folder],
    ...['--appendonly', 'yes', '--save', ''],
    // BullMQ must never lose a key to eviction.
    ...['--maxmemory-policy', 'noeviction'],
    ...settings,
  ]);
}

/** Starts a Sentinel that alone decides on failover; it calls what it watches mymaster. */
export async function startSentinel(
  folder: string,
  port: number,
  command: string,
  primaryPort: number,
  settings: readonly string[] = [],
): Promise<Server> {
  const file = join(folder, 'sentinel.conf');
  await mkdir(folder, { recursive: true });
  // It keeps its state in there.
  const lines = [
    'bind 127.0.0.1',
    `port ${port}`,
    `dir ${folder}`,
    `sentinel monitor mymaster 127.0.0.1 ${primaryPort} 1`,
    'sentinel down-after-milliseconds mymaster 1000',
    'sentinel failover-timeout mymaster 10000',
    ...settings,
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  return start('Sentinel', folder, port, command, [file, '--sentinel']);
}

async function start(
  name: string,
  folder: string,
  port: number,
  command: string,
  args: readonly string[],
): Promise<Server> {
  await mkdir(folder, { recursive: true });
  return startServer({
    name,
    address: `redis://127.0.0.1:${port}`,
    process: new GuardedProcess({
      name,
      command,
      args,
      logFile: join(folder, 'redis.log'),
      pidFile: join(folder, 'redis.pid'),
      stopSignal: 'SIGTERM',
    }),
    ping: () => ping(port),
    startTimeoutMs: 30_000,
  });
}

async function ping(port: number): Promise<void> {
  const redis = new Redis({
    host: '127.0.0.1',
    port,
    lazyConnect: true,
    commandTimeout: 2_000,
    retryStrategy: () => null,
  });
  // connect() rejects with the same error; without a listener ioredis prints it too.
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    await redis.ping();
  } finally {
    redis.disconnect();
  }
}

/** A server on the path that is new enough for BullMQ and ioredis: Valkey, or Redis 6.2 and later. */
function installed(): string | undefined {
  return ['valkey-server', 'redis-server'].find((program) => {
    if (which(program) === undefined) return false;
    const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
    const [, major, minor] = /v=(\d+)\.(\d+)/.exec(stdout) ?? [];
    return Number(major) > 6 || (Number(major) === 6 && Number(minor) >= 2);
  });
}

async function fetched(cache: string, onProgress: OnProgress): Promise<string> {
  const folder = await cached(
    cache,
    FETCHED,
    async (draft) => {
      await maven(
        'redis-pom.xml',
        draft,
        'unpack-dependencies',
        '-DincludeArtifactIds=embedded-redis',
        `-Dmdep.unpack.includes=${BUILD}`,
      );
      const [program] = (await readdir(draft)).filter((name) => name.startsWith('redis-server'));
      if (program === undefined) throw new Error(`The Redis jar has no ${BUILD}`);
      await rename(join(draft, program), join(draft, 'redis-server'));
      await chmod(join(draft, 'redis-server'), 0o755);
    },
    onProgress,
  );
  return join(folder, 'redis-server');
}
