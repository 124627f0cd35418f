import { Counter, type Registry } from 'prom-client';
import { batched } from '../../app/batcher.ts';
import type { OutboxHint } from '../../app/ports.ts';
import { OUTBOX_CHANNEL } from './channels.ts';
import type { RedisClient } from './connection.ts';

/**
 * Wakes the relay through Redis pub/sub. One message at a time: what is committed
 * while one is on its way is announced together by the next. A message lost is a
 * wait until the relay polls, so failures are only counted.
 */
export class RedisOutboxHint implements OutboxHint {
  readonly #publish: (hint: undefined) => Promise<undefined>;

  constructor(redis: RedisClient, registry: Registry) {
    const failures = new Counter({
      name: 'payment_ledger_outbox_hint_failures_total',
      help: 'Hints to the relay that could not be published.',
      registers: [registry],
    });
    this.#publish = batched(
      async (hints: readonly undefined[]) => {
        await redis.publish(OUTBOX_CHANNEL, '').catch(() => failures.inc());
        return hints;
      },
      { slots: 1 },
    );
  }

  committed(): void {
    void this.#publish(undefined);
  }
}
