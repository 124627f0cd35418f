import type { RelayMetrics } from './metrics.ts';
import type { Lease, LeaseView, Logger, ShardLeases } from './ports.ts';
import type { ShardPublisher } from './shard-publisher.ts';

export interface KeeperSettings {
  /** Unique for each start of a process. */
  readonly workerId: string;
  /** How long a shard stays with a worker that stopped renewing. */
  readonly leaseMs: number;
}

/**
 * Keeps this worker's share of the shards: renews their leases, claims what is
 * missing, gives back what is too much when workers join.
 */
export class LeaseKeeper {
  readonly #leases: ShardLeases;
  readonly #settings: KeeperSettings;
  readonly #startPublisher: (lease: Lease) => ShardPublisher;
  /** Tells other workers that shards came free, or that the share has changed. */
  readonly #announce: () => void;
  readonly #metrics: RelayMetrics;
  readonly #log: Logger;
  readonly #publishers = new Map<number, ShardPublisher>();
  /** Shards whose publisher is finishing what is in flight; until it has, none may start for the same shard. */
  readonly #leaving = new Map<number, Promise<void>>();
  /** Until when the leases run at least, by this process's clock. */
  #leasedUntilMs = 0;
  #joined = false;

  constructor(
    leases: ShardLeases,
    settings: KeeperSettings,
    startPublisher: (lease: Lease) => ShardPublisher,
    announce: () => void,
    metrics: RelayMetrics,
    log: Logger,
  ) {
    this.#leases = leases;
    this.#settings = settings;
    this.#startPublisher = startPublisher;
    this.#announce = announce;
    this.#metrics = metrics;
    this.#log = log;
  }

  get publishers(): Iterable<ShardPublisher> {
    return this.#publishers.values();
  }

  /**
   * Whether the leases run. The term is counted from before its renewal was sent, by
   * a clock that does not stop with the process: so one that was stopped and resumed
   * knows that it may have been replaced.
   */
  leasesRun(): boolean {
    return performance.now() < this.#leasedUntilMs;
  }

  /** Renews, then takes or gives back shards until this worker has its share. Throws if Postgres is unreachable. */
  async keep(): Promise<void> {
    const { workerId, leaseMs } = this.#settings;
    const sentAtMs = performance.now();
    const view = await this.#leases.renew(workerId, leaseMs);
    this.#leasedUntilMs = sentAtMs + leaseMs;
    if (!this.#joined) {
      this.#joined = true;
      if (view.workers.length > 1) this.#announce();
    }
    this.#dropLost(view);
    this.#adopt(view.owned);

    const share = fairShare(view, workerId);
    const surplus = [...this.#publishers.values()].slice(share);
    for (const publisher of surplus) this.#giveBack(publisher);
    const missing = share - this.#publishers.size;
    if (missing > 0 && view.unowned > 0) this.#adopt(await this.#leases.claim(workerId, leaseMs, missing));
    this.#metrics.shardsOwned.set(this.#publishers.size);
    this.#metrics.shardsUnowned.set(view.unowned);
  }

  /**
   * Gives all shards back, each as soon as nothing of it is in flight, and those that
   * take longer than the grace at once; the worker no longer counts for the share.
   */
  async leave(graceMs: number): Promise<void> {
    const { workerId } = this.#settings;
    // Before the shards come free: the others' share must count without this one. If
    // Postgres is unreachable, the others get both when the leases end.
    await this.#leases
      .leave(workerId)
      .catch((error: unknown) => this.#log.warn({ err: error }, 'the worker could not sign off'));
    const leases = [...this.#publishers.values()].map(({ lease }) => lease);
    for (const publisher of this.#publishers.values()) this.#giveBack(publisher);
    let timer: NodeJS.Timeout | undefined;
    const graceIsOver = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), graceMs);
    });
    const outcome = await Promise.race([Promise.all(this.#leaving.values()), graceIsOver]);
    clearTimeout(timer);
    if (outcome !== 'late') return;
    this.#log.warn(
      { shards: [...this.#leaving.keys()] },
      'sends are still in flight: the shards are given back all the same',
    );
    await this.#leases
      .release(workerId, leases)
      .catch((error: unknown) => this.#log.warn({ err: error }, 'the shards could not be given back'));
    this.#announce();
  }

  #dropLost({ owned }: LeaseView): void {
    const epochs = new Map(owned.map(({ shard, epoch }) => [shard, epoch]));
    for (const [shard, publisher] of this.#publishers) {
      if (epochs.get(shard) === publisher.lease.epoch) continue;
      this.#publishers.delete(shard);
      this.#leaving.set(
        shard,
        publisher.stop().finally(() => this.#leaving.delete(shard)),
      );
      this.#metrics.leaseLosses.inc();
      this.#log.warn({ shard }, 'another worker has claimed this shard');
    }
  }

  /** Starts publishers for leases that have none: those just claimed, and those whose claim took hold although its answer was lost. */
  #adopt(leases: readonly Lease[]): void {
    for (const lease of leases) {
      if (this.#publishers.has(lease.shard) || this.#leaving.has(lease.shard)) continue;
      const publisher = this.#startPublisher(lease);
      this.#publishers.set(lease.shard, publisher);
      this.#log.info({ shard: lease.shard, epoch: lease.epoch.toString() }, 'shard claimed');
      publisher.wake();
    }
  }

  #giveBack(publisher: ShardPublisher): void {
    const { shard } = publisher.lease;
    this.#publishers.delete(shard);
    const released = publisher
      .stop()
      .then(() => this.#leases.release(this.#settings.workerId, [publisher.lease]))
      .then(
        () => {
          this.#log.info({ shard }, 'shard given back');
          this.#announce();
        },
        // Then it falls free when its lease ends.
        (error: unknown) => this.#log.warn({ err: error, shard }, 'shard could not be given back'),
      )
      .finally(() => this.#leaving.delete(shard));
    this.#leaving.set(shard, released);
  }
}

/** Every worker computes the same division: shards ÷ workers, and one of the remainder for each of the first in order. */
export function fairShare({ shards, workers }: Pick<LeaseView, 'shards' | 'workers'>, workerId: string): number {
  const whole = Math.floor(shards / workers.length);
  return workers.indexOf(workerId) < shards % workers.length ? whole + 1 : whole;
}
