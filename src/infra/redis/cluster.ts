import { Cluster, type ClusterOptions, type RedisOptions } from 'ioredis';
import type { RedisAddress } from './connection.ts';
import { logReasons } from './reasons.ts';

type Address = RedisAddress & Required<Pick<RedisAddress, 'clusterNodes'>>;

interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Which node has which slots is asked this often: a node that was replaced is left then at the latest. */
const SLOTS_REFRESH_MS = 5_000;
/** While some nodes are unreachable, the log says so this often. */
const NODE_ERROR_LOG_MS = 60_000;

/** What connectRedis is, for Redis Cluster. */
export function connectCluster(address: Address, log: Log): Cluster {
  const options = {
    enableOfflineQueue: false,
    // What a connection that broke may have lost is not repeated.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
  };
  return connect(address, log, options, { socketTimeout: 5_000 });
}

/** What connectRedisForJobs is, for Redis Cluster. */
export function connectClusterForJobs(address: Address, log: Log): Cluster {
  return connect(address, log, { lazyConnect: true }, { maxRetriesPerRequest: null });
}

function connect(
  { url, tls, clusterNodes }: Address,
  log: Log,
  options: ClusterOptions,
  nodeOptions: Omit<RedisOptions, 'protocol' | 'replyMapping'>,
): Cluster {
  const { username, password } = new URL(url);
  const credentials = {
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    ...(tls !== undefined && { tls: { ...tls } }),
  };
  const cluster = new Cluster([...clusterNodes!], {
    clusterRetryStrategy: (attempt) => Math.min(attempt * 100, 2_000),
    slotsRefreshTimeout: 2_000,
    slotsRefreshInterval: SLOTS_REFRESH_MS,
    // A certificate has the node's name, not what that resolves to.
    dnsLookup: (host, callback) => callback(null, host),
    ...options,
    redisOptions: {
      connectTimeout: 2_000,
      ...credentials,
      ...nodeOptions,
    },
  });
  logReachability(cluster, log, () => void logReasons(clusterNodes!, credentials, log));
  return cluster;
}

function logReachability(cluster: Cluster, log: Log, explain: () => void): void {
  let unreachable = false;
  const unreachableFor = (fields: object) => {
    // Each attempt to reconnect fails in the same way: the first one says it all.
    if (unreachable) return;
    unreachable = true;
    log.warn(fields, 'Redis Cluster is unreachable');
    explain();
  };
  let nodeErrorLoggedAt = Number.NEGATIVE_INFINITY;
  // Its own error only says that all nodes failed.
  cluster.on('error', (error: Error & { lastNodeError?: Error }) =>
    unreachableFor({ err: error.lastNodeError ?? error }),
  );
  // A cluster that is down answers, and is connected to again without an error.
  cluster.on('reconnecting', () => unreachableFor({}));
  cluster.on('node error', (error: Error, node: string) => {
    if (unreachable || performance.now() - nodeErrorLoggedAt < NODE_ERROR_LOG_MS) return;
    log.warn({ err: error, node }, 'a node of Redis Cluster is unreachable');
    nodeErrorLoggedAt = performance.now();
  });
  cluster.on('ready', () => {
    if (unreachable) log.info({}, 'Redis Cluster is reachable again');
    unreachable = false;
  });
}
