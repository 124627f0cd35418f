import type { Logger, Signals } from '../../relay/ports.ts';
import { OUTBOX_CHANNEL, SHARDS_CHANNEL } from './channels.ts';
import { connectRedis, type RedisAddress } from './connection.ts';

/**
 * Hints over Redis pub/sub. While Redis is unreachable they are lost, not kept: nothing
 * waits for it, and it is connected to again in the background.
 */
export function redisSignals(address: RedisAddress, log: Logger): Signals & { close(): Promise<void> } {
  const subscriber = connectRedis(address, log);
  const publisher = connectRedis(address, log);
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
