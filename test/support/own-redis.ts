import { inject } from 'vitest';

/**
 * The address of a Redis database that this test file has to itself, as far as the
 * server has so many: relays of two files on one queue would do each other's jobs, and
 * accounts of one name share a token bucket. Only Redis' channels are the whole server's.
 */
export function ownRedisUrl(): string {
  const url = new URL(inject('redisUrl'));
  // Vitest gives each file that it runs a number of its own.
  url.pathname = `/${Number(process.env['VITEST_WORKER_ID']) % inject('redisDatabases')}`;
  return url.href;
}
