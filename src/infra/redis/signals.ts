import { Redis } from 'ioredis';
import type { Logger, Signals } from '../../relay/ports.ts';
import { OUTBOX_CHANNEL, SHARDS_CHANNEL } from './channels.ts';

/**
 * Hints over Redis pub/sub. While Redis is away they are lost, not kept: nothing
 * waits for it, and it is connected to again in the background.
 */
export function redisSignals(url: string, log: Logger): Signals & { close(): Promise<void> } {
  const subscriber = connect(url, log);
  const publisher = connect(url, log);
  const listeners = new Map<string, () => void>();

  // After each connection, as a subscription belongs to one.
  subscriber.on('ready', () => {
    subscriber
      .subscribe(OUTBOX_CHANNEL, SHARDS_CHANNEL)
      .catch((error: unknown) => log.warn({ err: error }, 'Redis: could not subscribe to hints'));
  });
  subscriber.on('message', (channel: string) => listeners.get(channel)?.());

  return {
    onCommitted: (listener) => void listeners.set(OUTBOX_CHANNEL, listener),
    onShardsChanged: (listener) => void listeners.set(SHARDS_CHANNEL, listener),
    shardsChanged() {
      publisher.publish(SHARDS_CHANNEL, '').catch((error: unknown) => log.debug({ err: error }, 'a hint was lost'));
    },
    async close() {
      subscriber.disconnect();
      // What was published last is for those who take over: let it leave.
      await publisher.quit().catch(() => publisher.disconnect());
    },
  };
}

function connect(url: string, log: Logger): Redis {
  const redis = new Redis(url, {
    // A hint that cannot be sent now is of no use later.
    enableOfflineQueue: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 3_000,
    commandTimeout: 3_000,
    retryStrategy: (attempt) => Math.min(100 * 2 ** attempt, 2_000),
  });
  // Without a listener an error would end the process.
  let reported = false;
  redis.on('error', (error: Error) => {
    if (!reported) log.warn({ err: error }, 'Redis is away: events wait for the next poll');
    reported = true;
  });
  redis.on('ready', () => {
    reported = false;
  });
  return redis;
}
