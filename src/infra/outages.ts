import { Outage } from '../app/outage.ts';

interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Redis may be slow for one call in a thousand: only when that has not happened for a while is it well again. */
const LIMITER_QUIET_MS = 5_000;
/** Partitions get their leaders back one by one. */
const KAFKA_QUIET_MS = 2_000;

export function databaseOutage(log: Logger): Outage {
  return logged(log, 'calls fail because the database is unavailable', 'the database is available again');
}

export function expiryOutage(log: Logger): Outage {
  return logged(log, 'some holds whose time is over cannot be released', 'holds whose time is over are released again');
}

export function limiterOutage(log: Logger): Outage {
  const began = 'the rate limiter is on its own buckets: Redis fails or is slow';
  return logged(log, began, 'the rate limiter is on Redis again', LIMITER_QUIET_MS);
}

export function kafkaOutage(log: Logger): Outage {
  return logged(log, 'events cannot be sent to Kafka', 'events are sent to Kafka again', KAFKA_QUIET_MS);
}

function logged(log: Logger, began: string, ended: string, quietMs?: number): Outage {
  return new Outage(
    {
      began: (error) => log.warn({ err: error }, began),
      ended: (outageMs) => log.info({ outageMs: Math.round(outageMs) }, ended),
    },
    quietMs,
  );
}
