import type { EventPublisher } from './ports.ts';

export interface Watched {
  readonly relay: {
    /** Since the leases were last renewed. */
    readonly sinceKeptMs: number;
    /** Since the relay last began to renew them. */
    readonly sinceTurnMs: number;
  };
  readonly publisher: Pick<EventPublisher, 'ping'>;
  readonly leaseMs: number;
}

const PING_EVERY_MS = 5_000;
/** Kafka may miss two pings, each of which may take its time. */
const KAFKA_SILENCE_MS = 20_000;
/** Every wait inside a turn is limited to a fraction of this. */
const LONGEST_TURN_MS = 60_000;

/**
 * Whether the process lives (else restart it) and whether it can work (else look at
 * Postgres and Kafka). Each answer is undefined if all is well, or what is wrong.
 */
export class Health {
  readonly #watched: Watched;
  #lastPongMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  /** From now on the relay runs and Kafka, which has just answered, is asked again and again. */
  start(): void {
    this.#lastPongMs = performance.now();
    this.#timer = setInterval(() => {
      this.#watched.publisher.ping().then(
        () => {
          this.#lastPongMs = performance.now();
        },
        // Only the time since the last answer counts.
        () => undefined,
      );
    }, PING_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  readonly healthy = (): string | undefined => {
    // Before it is started, main waits for Postgres and Kafka, and that may take any time.
    if (this.#timer === undefined || this.#watched.relay.sinceTurnMs < LONGEST_TURN_MS) return undefined;
    return `the relay has been stuck for ${Math.round(this.#watched.relay.sinceTurnMs)} ms`;
  };

  readonly ready = (): string | undefined => {
    if (this.#timer === undefined) return 'starting or stopping';
    const { relay, leaseMs } = this.#watched;
    if (relay.sinceKeptMs > leaseMs) return 'Postgres: leases could not be renewed';
    if (performance.now() - this.#lastPongMs > KAFKA_SILENCE_MS) return 'Kafka does not answer';
    return undefined;
  };
}
