import { isUlid, timeOfUlid } from '../ulid.ts';
import type { AuditedEvent, AuditedEvents, SentEvent } from './ports.ts';
import { CLOCK_SLACK_MS } from './retention.ts';

/** So many ids are looked up at once. */
const UNMATCHED_AT_A_TIME = 5_000;
/**
 * Of a page. Somebody has to undo each of them after a failover or a restore that lost
 * payments, so this is no sample: it only keeps memory bounded.
 */
const ORPHANED_NAMED = 50_000;

/** Records that are none of the events at hand, until it is known whether anything calls for them. */
export class UnmatchedRecords {
  readonly #ids: ReadonlySet<string>;
  readonly #auditedTo: string;
  readonly #events: AuditedEvents;
  readonly #unknown = new Map<string, string>();
  readonly #orphaned: string[] = [];

  constructor(page: readonly AuditedEvent[], auditedTo: string, events: AuditedEvents) {
    this.#ids = new Set(page.map(({ eventId }) => eventId));
    this.#auditedTo = auditedTo;
    this.#events = events;
  }

  async note(records: readonly SentEvent[]): Promise<void> {
    for (const { eventId, partition, offset, sentAtMs } of records) {
      if (this.#ids.has(eventId)) continue;
      const sentence = `ce_id ${JSON.stringify(eventId)} at offset ${offset} of partition ${partition} belongs to no payment or account change`;
      if (!isUlid(eventId)) this.#add(sentence);
      // What is later comes with later pages, unless their time has not come at all.
      else if (eventId <= this.#auditedTo || timeOfUlid(eventId) > sentAtMs + CLOCK_SLACK_MS)
        this.#unknown.set(eventId, sentence);
    }
    if (this.#unknown.size >= UNMATCHED_AT_A_TIME) await this.#lookUp();
  }

  async orphaned(): Promise<string[]> {
    await this.#lookUp();
    return this.#orphaned;
  }

  /** After they were read from Kafka, so that the commit came before. */
  async #lookUp(): Promise<void> {
    if (this.#unknown.size === 0) return;
    for (const id of await this.#events.unknown([...this.#unknown.keys()])) this.#add(this.#unknown.get(id)!);
    this.#unknown.clear();
  }

  #add(sentence: string): void {
    if (this.#orphaned.length < ORPHANED_NAMED) this.#orphaned.push(sentence);
  }
}
