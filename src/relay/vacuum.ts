import type { Logger } from './ports.ts';

/** Their space is about five megabytes. */
const VACUUM_AFTER_ROWS = 10_000;

/**
 * Vacuums the outbox by the number of rows this worker has deleted. Autovacuum looks
 * at a table once a minute, when at full speed a million rows may have passed through
 * the outbox: it would grow by all of them.
 */
export class OutboxVacuum {
  readonly #vacuum: () => Promise<void>;
  readonly #log: Logger;
  #removed = 0;
  #running = false;

  constructor(vacuum: () => Promise<void>, log: Logger) {
    this.#vacuum = vacuum;
    this.#log = log;
  }

  /** Returns at once; a vacuum runs beside everything else, one at a time. */
  removed(rows: number): void {
    this.#removed += rows;
    if (this.#removed < VACUUM_AFTER_ROWS || this.#running) return;
    this.#removed = 0;
    this.#running = true;
    this.#vacuum()
      // Without the right to, there is still autovacuum.
      .catch((error: unknown) => this.#log.debug({ err: error }, 'the outbox could not be vacuumed'))
      .finally(() => {
        this.#running = false;
      });
  }
}
