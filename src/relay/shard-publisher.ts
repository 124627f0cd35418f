import { Backoff } from './backoff.ts';
import type { RelayMetrics } from './metrics.ts';
import {
  type EventPublisher,
  EventRejectedError,
  type Lease,
  type Logger,
  type Outbox,
  type OutboxRow,
  type PendingEvent,
} from './ports.ts';
import type { Page, SharedStatements } from './shared-statements.ts';

export interface ShardPublisherServices {
  readonly statements: Pick<SharedStatements, 'read' | 'remove'>;
  readonly outbox: Pick<Outbox, 'deadLetter' | 'block'>;
  readonly publisher: EventPublisher;
  /** Whether the worker's leases still run, by a clock that also runs while the process is stopped. */
  readonly leasesRun: () => boolean;
  readonly metrics: RelayMetrics;
  readonly log: Logger;
}

/** A failed shard is tried again after this, and then ever more rarely. */
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;

/**
 * Publishes one leased shard, in order: one batch is in flight at a time, and each
 * begins at the lowest event that Kafka has not acknowledged. So whatever is sent
 * twice, by this worker or by one that owned the shard before, no event is first
 * delivered before an earlier one of its key.
 */
export class ShardPublisher {
  readonly lease: Lease;
  readonly #services: ShardPublisherServices;
  readonly #backoff = new Backoff(FIRST_RETRY_MS, LAST_RETRY_MS);
  /** Acknowledged by Kafka, and still in the outbox as far as is known. */
  readonly #acknowledged = new Map<string, OutboxRow>();
  #draining: Promise<number> | undefined;
  #again = false;
  #published = 0;
  #retryAtMs = 0;
  #stopped = false;

  constructor(lease: Lease, services: ShardPublisherServices) {
    this.lease = lease;
    this.#services = services;
  }

  /**
   * Publishes until the shard is empty. Resolves to the number of events published;
   * never throws. Does nothing after stop, and not before its time after a failure.
   */
  drain(): Promise<number> {
    if (this.#stopped || performance.now() < this.#retryAtMs) return Promise.resolve(0);
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = undefined;
    });
    return this.#draining;
  }

  /** Events were committed: drains; a drain that is already running, and may have missed them, reads once more. */
  wake(): void {
    this.#again = true;
    void this.drain();
  }

  /** Begins no further send. Resolves when none is in flight and what was acknowledged is deleted. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#draining;
  }

  async #drain(): Promise<number> {
    const before = this.#published;
    try {
      do {
        this.#again = false;
        await this.#pass();
      } while (this.#again && !this.#stopped);
      this.#backoff.reset();
    } catch (error) {
      const delayMs = this.#backoff.next();
      this.#retryAtMs = performance.now() + delayMs;
      this.#services.metrics.retries.inc();
      this.#services.log.warn({ err: error, shard: this.lease.shard, delayMs }, 'shard failed and will be tried again');
    }
    return this.#published - before;
  }

  /** From the lowest event left to the first page that is not full. */
  async #pass(): Promise<void> {
    let removal = this.#removeAcknowledged();
    let ahead: Promise<Page> | undefined;
    try {
      let page = await this.#read([]);
      while (page.events.length > 0 && !this.#stopped) {
        const events = await this.#setBlockedAside(page.events);
        // A full page has more behind it: they are read while this one is on its way.
        ahead = page.full ? handled(this.#read(events)) : undefined;
        const sent = events.length === 0 || (await this.#publish(events));
        // At most one batch is being deleted while the next is on its way.
        await removal;
        removal = this.#removeAcknowledged();
        if (!sent) this.#again = true;
        if (!sent || ahead === undefined) break;
        page = await ahead;
      }
      await removal;
    } finally {
      // What was read ahead leaves out events that may not have been sent after all. Were
      // it still on its way when the next pass reads, that would leave them out as well.
      await Promise.allSettled([ahead]);
    }
  }

  #read(sending: readonly PendingEvent[]): Promise<Page> {
    return this.#services.statements.read(this.lease.shard, [
      ...this.#acknowledged.keys(),
      ...sending.map(({ uuid }) => uuid),
    ]);
  }

  async #setBlockedAside(page: readonly PendingEvent[]): Promise<readonly PendingEvent[]> {
    const blocked = page.filter((event) => event.blocked);
    if (blocked.length === 0) return page;
    await this.#services.outbox.block(this.lease, blocked);
    return page.filter((event) => !event.blocked);
  }

  /**
   * Sends the events in order. If Kafka rejects them, halves until it is known which
   * one it rejects, and puts that one with the dead letters: then it returns false,
   * and what is left must be read again, as later events of that key are blocked now.
   */
  async #publish(events: readonly PendingEvent[]): Promise<boolean> {
    const { publisher, leasesRun, metrics } = this.#services;
    if (!leasesRun()) throw new Error('The lease ran out before the events were sent');
    try {
      await publisher.publish(this.lease.shard, events);
    } catch (error) {
      if (!(error instanceof EventRejectedError)) throw error;
      if (events.length === 1) {
        await this.#deadLetter(events[0]!, error);
        return false;
      }
      const middle = Math.ceil(events.length / 2);
      return (await this.#publish(events.slice(0, middle))) && (await this.#publish(events.slice(middle)));
    }
    for (const { position, uuid } of events) this.#acknowledged.set(uuid, { position, uuid });
    this.#published += events.length;
    metrics.published(events);
    return true;
  }

  async #deadLetter(event: PendingEvent, rejection: EventRejectedError): Promise<void> {
    const { outbox, metrics, log } = this.#services;
    if (!(await outbox.deadLetter(this.lease, event, rejection.message))) this.#lost();
    metrics.deadLetters.inc();
    log.error(
      { err: rejection, shard: this.lease.shard, eventId: event.eventId, key: event.key },
      'Kafka rejects this event for good: its key is blocked until the dead letter is redriven or discarded',
    );
  }

  /** Deletes what Kafka has acknowledged. A failure is only seen by whoever awaits it. */
  #removeAcknowledged(): Promise<void> {
    return handled(this.#remove([...this.#acknowledged.values()]));
  }

  async #remove(events: readonly OutboxRow[]): Promise<void> {
    if (events.length === 0) return;
    if (!(await this.#services.statements.remove(this.lease, events))) this.#lost();
    for (const { uuid } of events) this.#acknowledged.delete(uuid);
  }

  #lost(): never {
    this.#stopped = true;
    throw new Error('The shard was claimed by another worker');
  }
}

/** Keeps a rejection from counting as unhandled: the promise is awaited later, or never if something else fails first. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
