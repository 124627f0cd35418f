import type { Redis } from 'ioredis';
import { Counter, type Registry } from 'prom-client';
import type { OutboxHint } from '../../app/ports.ts';
import { OUTBOX_CHANNEL } from './channels.ts';

/**
 * Wakes the relay through Redis pub/sub. One message at a time: what is committed
 * while one is on its way is announced together by the next. A message lost is a
 * wait until the relay polls, so failures are only counted.
 */
export class RedisOutboxHint implements OutboxHint {
  readonly #redis: Redis;
  readonly #failures: Counter;
  #publishing = false;
  #more = false;

  constructor(redis: Redis, registry: Registry) {
    this.#redis = redis;
    this.#failures = new Counter({
      name: 'payment_ledger_outbox_hint_failures_total',
      help: 'Hints to the relay that could not be published.',
      registers: [registry],
    });
  }

  committed(): void {
    this.#more = true;
    if (!this.#publishing) void this.#publish();
  }

  async #publish(): Promise<void> {
    this.#publishing = true;
    while (this.#more) {
      this.#more = false;
      await this.#redis.publish(OUTBOX_CHANNEL, '').catch(() => this.#failures.inc());
    }
    this.#publishing = false;
  }
}
