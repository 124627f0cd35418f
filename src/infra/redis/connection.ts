import { Redis, type RedisOptions } from 'ioredis';

type Options = Omit<RedisOptions, 'protocol' | 'replyMapping'>;

interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** While a demoted server answers at the address, the log says so this often. */
const DEMOTED_LOG_MS = 60_000;

/**
 * A connection to Redis for callers that would rather fail than wait: it rejects
 * commands at once while there is no connection and those in flight when it
 * breaks, repeats none, and reconnects for ever.
 */
export function connectRedis(url: string, log: Log): Redis {
  return connect(url, log, {
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
export function connectRedisForJobs(url: string, log: Log): Redis {
  return connect(url, log, { maxRetriesPerRequest: null, lazyConnect: true });
}

function connect(url: string, log: Log, options: Options): Redis {
  let demotedLoggedAt = Number.NEGATIVE_INFINITY;
  const all: Options = {
    connectTimeout: 2_000,
    retryStrategy: (attempt) => Math.min(attempt * 100, 2_000),
    // A primary that was demoted takes no writes: behind the address there may be another one by now.
    reconnectOnError(error) {
      if (!error.message.includes('READONLY')) return false;
      if (performance.now() - demotedLoggedAt >= DEMOTED_LOG_MS) {
        log.warn({ err: error }, 'Redis was demoted to a replica: connecting again');
        demotedLoggedAt = performance.now();
      }
      return true;
    },
    ...options,
  };
  const redis = new Redis(url, all);
  let unreachable = false;
  redis.on('error', (error) => {
    // Each attempt to reconnect fails in the same way: the first one says it all.
    if (!unreachable) log.warn({ err: error }, 'Redis is unreachable');
    unreachable = true;
  });
  redis.on('ready', () => {
    if (unreachable) log.info({}, 'Redis is back');
    unreachable = false;
  });
  return redis;
}
