import { type Cluster, Redis, type RedisOptions } from 'ioredis';
import { withinLimit } from '../../app/time-limit.ts';
import { connectCluster, connectClusterForJobs } from './cluster.ts';
import { type HostAndPort, logReasons } from './reasons.ts';

type Options = Omit<RedisOptions, 'protocol' | 'replyMapping'>;

interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Where Redis is and how it is reached. */
export interface RedisAddress {
  /** With Sentinel only its credentials and database count: the primary's address comes from there. */
  readonly url: string;
  /** Undefined is plain text. In PEM; without an authority of its own, those that come with Node are trusted. */
  readonly tls?:
    | {
        readonly ca?: string | undefined;
        /** For servers that ask for a client certificate. */
        readonly cert?: string | undefined;
        readonly key?: string | undefined;
      }
    | undefined;
  readonly sentinel?:
    | {
        readonly addresses: readonly HostAndPort[];
        /** What the Sentinels call the primary and its replicas. */
        readonly name: string;
        /** Of the Sentinels themselves. */
        readonly username?: string | undefined;
        readonly password?: string | undefined;
      }
    | undefined;
  /** Some nodes of a Redis Cluster, who name the others; of the URL only the credentials count then. */
  readonly clusterNodes?: readonly HostAndPort[] | undefined;
}

export type RedisClient = Redis | Cluster;

/** How often a connection asks its server whether it is still the primary, and how long it waits for the answer. */
const ROLE_CHECK_MS = 5_000;
/** While a demoted server answers at the address, the log says so this often. */
const DEMOTED_LOG_MS = 60_000;

/**
 * A connection to Redis for callers that would rather fail than wait: it rejects
 * commands at once while there is no connection and those in flight when it
 * breaks, repeats none, and reconnects for ever.
 */
export function connectRedis(address: RedisAddress, log: Log): RedisClient {
  const { clusterNodes } = address;
  if (clusterNodes !== undefined) return connectCluster({ ...address, clusterNodes }, log);
  return connect(address, log, {
    // Commands issued in one turn of the event loop travel together.
    enableAutoPipelining: true,
    enableOfflineQueue: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // A server that vanished without a word: a connection that owes an answer for this long is replaced.
    socketTimeout: 5_000,
  });
}

/** A connection for BullMQ, which waits for Redis however long it takes. */
export function connectRedisForJobs(address: RedisAddress, log: Log): RedisClient {
  const { clusterNodes } = address;
  if (clusterNodes !== undefined) return connectClusterForJobs({ ...address, clusterNodes }, log);
  return connect(address, log, { maxRetriesPerRequest: null, lazyConnect: true });
}

function connect({ url, tls, sentinel }: RedisAddress, log: Log, options: Options): Redis {
  let demotedLoggedAt = Number.NEGATIVE_INFINITY;
  const demoted = () => {
    if (performance.now() - demotedLoggedAt < DEMOTED_LOG_MS) return;
    log.warn({}, 'Redis was demoted to a replica: connecting again');
    demotedLoggedAt = performance.now();
  };
  const all: Options = {
    connectTimeout: 2_000,
    retryStrategy: retryDelayMs,
    ...(tls !== undefined && { tls: { ...tls } }),
    ...(sentinel !== undefined && {
      sentinels: [...sentinel.addresses],
      name: sentinel.name,
      sentinelRetryStrategy: retryDelayMs,
      sentinelCommandTimeout: 2_000,
      // Without it ioredis would not encrypt the connection to a primary that Sentinel names.
      enableTLSForSentinelMode: tls !== undefined,
      ...(tls !== undefined && { sentinelTLS: { ...tls } }),
      ...(sentinel.username !== undefined && { sentinelUsername: sentinel.username }),
      ...(sentinel.password !== undefined && { sentinelPassword: sentinel.password }),
    }),
    // A primary that was demoted takes no writes: behind the address there may be another one by now.
    reconnectOnError(error) {
      if (!error.message.includes('READONLY')) return false;
      demoted();
      return true;
    },
    ...options,
  };
  const redis = new Redis(url, all);
  logReachability(redis, log, () => sentinel && void logReasons(sentinel.addresses, toSentinel(sentinel, tls), log));
  leaveReplicas(redis, demoted);
  return redis;
}

/** The options of a connection to a Sentinel itself. */
function toSentinel({ username, password }: NonNullable<RedisAddress['sentinel']>, tls: RedisAddress['tls']): Options {
  return {
    ...(tls !== undefined && { tls: { ...tls } }),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  };
}

function retryDelayMs(attempt: number): number {
  return Math.min(attempt * 100, 2_000);
}

function logReachability(redis: Redis, log: Log, explain: () => void): void {
  let unreachable = false;
  redis.on('error', (error) => {
    // Each attempt to reconnect fails in the same way: the first one says it all.
    if (unreachable) return;
    unreachable = true;
    log.warn({ err: error }, 'Redis is unreachable');
    explain();
  });
  redis.on('ready', () => {
    if (unreachable) log.info({}, 'Redis is reachable again');
    unreachable = false;
  });
}

/**
 * Connects again when the server is a replica by now, or owes the answer. A replica
 * takes PUBLISH and SUBSCRIBE, so a connection for hints alone would never hear READONLY.
 */
function leaveReplicas(redis: Redis, demoted: () => void): void {
  let asking = false;
  const check = async () => {
    if (redis.status !== 'ready' || asking) return;
    asking = true;
    const role = await askRole(redis);
    asking = false;
    if (role === 'replica') demoted();
    if (role !== 'other' && redis.status === 'ready') redis.disconnect(true);
  };
  const timer = setInterval(() => void check(), ROLE_CHECK_MS);
  timer.unref();
  redis.once('end', () => clearInterval(timer));
}

/** Never throws. */
async function askRole(redis: Redis): Promise<'replica' | 'silent' | 'other'> {
  // An error is an answer too: a user who may not ask stays connected.
  const answer = redis.info('replication').catch(({ message }: Error) => message);
  try {
    return (await withinLimit(answer, ROLE_CHECK_MS)).includes('role:slave') ? 'replica' : 'other';
  } catch {
    return 'silent';
  }
}
