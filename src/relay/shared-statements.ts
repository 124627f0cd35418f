import { batched } from '../app/batcher.ts';
import type { Acknowledged, Lease, Outbox, OutboxRow, PendingEvent, ShardPage } from './ports.ts';
import type { OutboxVacuum } from './vacuum.ts';

export interface Page {
  readonly events: readonly PendingEvent[];
  /** Whether it ended at a limit, so that there may be more. */
  readonly full: boolean;
}

export interface StatementLimits {
  /** The most events of a shard in one page. */
  readonly batchSize: number;
  /** The most payload in one page, as far as events can be split. */
  readonly batchBytes: number;
}

/**
 * The most events in one read. Shards that are read together share them: with many
 * shards batches are smaller, and what is in memory does not grow with their number.
 */
const MOST_READ = 1_000;

/** What shard publishers ask of the outbox: however many are busy, one read and one delete run at a time. */
export class SharedStatements {
  readonly #outbox: Pick<Outbox, 'read' | 'remove'>;
  readonly #vacuum: OutboxVacuum;
  readonly #limits: StatementLimits;
  readonly #reads = batched((pages: readonly ShardPage[]) => this.#readAll(pages), { slots: 1 });
  readonly #removals = batched((published: readonly Acknowledged[]) => this.#removeAll(published), { slots: 1 });

  constructor(outbox: Pick<Outbox, 'read' | 'remove'>, vacuum: OutboxVacuum, limits: StatementLimits) {
    this.#outbox = outbox;
    this.#vacuum = vacuum;
    this.#limits = limits;
  }

  /** The lowest events left in the shard, but for those with the given uuids. */
  read(shard: number, except: readonly string[]): Promise<Page> {
    return this.#reads({ shard, except });
  }

  /** Deletes events; false if the lease was not current. */
  remove(lease: Lease, events: readonly OutboxRow[]): Promise<boolean> {
    return this.#removals({ lease, events });
  }

  async #readAll(pages: readonly ShardPage[]): Promise<Page[]> {
    // One read's exceptions count for all pages, and a row would come once for each.
    if (new Set(pages.map(({ shard }) => shard)).size < pages.length) throw new Error('Bug! A shard is read twice');
    const { batchSize, batchBytes } = this.#limits;
    const maxEvents = Math.min(batchSize, Math.ceil(MOST_READ / pages.length));
    const events = await this.#outbox.read(pages, { maxEvents, maxBytes: batchBytes });
    const byShard = Map.groupBy(events, ({ shard }) => shard);
    return pages.map(({ shard }) => {
      const ofShard = byShard.get(shard) ?? [];
      const bytes = ofShard.reduce((sum, { payload }) => sum + Buffer.byteLength(payload), 0);
      return { events: ofShard, full: ofShard.length >= maxEvents || bytes >= batchBytes };
    });
  }

  async #removeAll(published: readonly Acknowledged[]): Promise<boolean[]> {
    const current = await this.#outbox.remove(published);
    this.#vacuum.removed(published.reduce((sum, { events }) => sum + events.length, 0));
    return published.map(({ lease }) => current.has(lease.shard));
  }
}
