import { Redis } from 'ioredis';
import type { Logger } from 'pino';

/**
 * A connection to Redis for callers that would rather fail than wait: it rejects
 * commands at once while there is no connection and those in flight when it
 * breaks, repeats none, and reconnects for ever.
 */
export function connectRedis(url: string, log: Logger): Redis {
  const redis = new Redis(url, {
    // Commands issued in one turn of the event loop travel together.
    enableAutoPipelining: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2_000,
    // A server that vanished without a word: a connection that owes an answer for this long is replaced.
    socketTimeout: 5_000,
    retryStrategy: (attempt) => Math.min(attempt * 100, 2_000),
  });
  let away = false;
  redis.on('error', (error) => {
    // Each attempt to reconnect fails in the same way: the first one says it all.
    if (!away) log.warn({ err: error }, 'redis is away');
    away = true;
  });
  redis.on('ready', () => {
    if (away) log.info('redis is back');
    away = false;
  });
  return redis;
}
