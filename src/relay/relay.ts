import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff } from './backoff.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import type { RelayMetrics } from './metrics.ts';
import type { EventPublisher, Lease, Logger, Outbox, ShardLeases, Signals } from './ports.ts';
import { ShardPublisher } from './shard-publisher.ts';
import { SharedStatements } from './shared-statements.ts';
import { OutboxVacuum } from './vacuum.ts';

export interface RelaySettings {
  /** Unique for each start of a process. */
  readonly workerId: string;
  readonly leaseMs: number;
  /** The most events in one send. */
  readonly batchSize: number;
  /** The most payload in one send, as far as events can be split. */
  readonly batchBytes: number;
  /** How often to look for events when there is nothing to do and no hint. */
  readonly pollMs: number;
}

export interface RelayServices {
  readonly outbox: Outbox;
  readonly leases: ShardLeases;
  readonly publisher: EventPublisher;
  readonly signals: Signals;
  readonly metrics: RelayMetrics;
  readonly log: Logger;
}

/** The first wait after something was found by polling; without hints it is most of the latency. */
const FIRST_POLL_MS = 10;
/** Rebalancing takes about two of these where hints are lost. */
const KEEP_EVERY_MS = 1_000;

/** One worker: publishes the outbox rows of the shards it owns, and owns its share of them. */
export class Relay {
  readonly #settings: RelaySettings;
  readonly #services: RelayServices;
  readonly #statements: SharedStatements;
  readonly #keeper: LeaseKeeper;
  readonly #stopping = new AbortController();
  #keepNow = new AbortController();
  #loops: Promise<unknown> | undefined;
  #keptAtMs = Number.NEGATIVE_INFINITY;
  #turnAtMs = performance.now();

  constructor(settings: RelaySettings, services: RelayServices) {
    this.#settings = settings;
    this.#services = services;
    const { outbox, leases, signals, metrics, log } = services;
    this.#statements = new SharedStatements(outbox, new OutboxVacuum(() => outbox.vacuum(), log), settings);
    this.#keeper = new LeaseKeeper(
      leases,
      settings,
      (lease) => this.#startPublisher(lease),
      () => signals.shardsChanged(),
      metrics,
      log,
    );
  }

  /** Claims a fair share of the shards and publishes their events. Returns how many events that were. */
  async runOnce(): Promise<number> {
    await this.#keep();
    return this.#drain();
  }

  /** Runs until stop. Outages of Postgres, Kafka and Redis are waited out. */
  start(): void {
    const { signals } = this.#services;
    signals.onCommitted(() => {
      if (this.#stopping.signal.aborted) return;
      for (const publisher of this.#keeper.publishers) publisher.wake();
    });
    signals.onShardsChanged(() => this.#keepNow.abort());
    this.#loops = Promise.all([this.#keepLoop(), this.#pollLoop()]);
  }

  /**
   * Finishes the sends that are in flight, deletes what they published and hands the
   * shards over, all within graceMs; then hands over what is left.
   */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort();
    this.#keepNow.abort();
    await this.#loops;
    await this.#keeper.leave(graceMs);
  }

  /** Milliseconds since the leases were last renewed. */
  get sinceKeptMs(): number {
    return performance.now() - this.#keptAtMs;
  }

  /** Milliseconds since a renewal was last begun. */
  get sinceTurnMs(): number {
    return performance.now() - this.#turnAtMs;
  }

  async #keepLoop(): Promise<void> {
    const { log } = this.#services;
    const everyMs = Math.min(KEEP_EVERY_MS, this.#settings.leaseMs / 5);
    while (!this.#stopping.signal.aborted) {
      this.#keepNow = new AbortController();
      this.#turnAtMs = performance.now();
      try {
        await this.#keep();
      } catch (error) {
        log.warn({ err: error }, 'leases could not be renewed');
      }
      await pause(everyMs, this.#keepNow.signal);
    }
  }

  async #keep(): Promise<void> {
    await this.#keeper.keep();
    this.#keptAtMs = performance.now();
  }

  async #pollLoop(): Promise<void> {
    const wait = new Backoff(Math.min(FIRST_POLL_MS, this.#settings.pollMs), this.#settings.pollMs);
    while (!this.#stopping.signal.aborted) {
      await pause(wait.next(), this.#stopping.signal);
      // Not awaited: one shard that Kafka keeps waiting must not stop the others.
      void this.#drain().then((published) => {
        if (published > 0) wait.reset();
      });
    }
  }

  async #drain(): Promise<number> {
    const counts = await Promise.all([...this.#keeper.publishers].map((publisher) => publisher.drain()));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  #startPublisher(lease: Lease): ShardPublisher {
    const { outbox, publisher, metrics, log } = this.#services;
    return new ShardPublisher(lease, {
      statements: this.#statements,
      outbox,
      publisher,
      leasesRun: () => this.#keeper.leasesRun(),
      metrics,
      log,
    });
  }
}

/** Waits, but not beyond the signal. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
