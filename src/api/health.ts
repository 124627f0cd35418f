import { type Server, type ServerWritableStream, status } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import type { Logger } from 'pino';
import { withinLimit } from '../app/time-limit.ts';

const POLL_MS = 1_000;
/** A database that takes longer to answer is as good as gone. */
const PROBE_LIMIT_MS = 1_000;
/** One failed probe may be one lost connection, and turning all traffic away for that would do harm. */
const FAILURES_BEFORE_NOT_SERVING = 2;

/** Each open Watch costs memory, and anyone may open one. */
export const MAX_WATCH_CALLS = 1_000;

type WatchCall = ServerWritableStream<{ service: string }, unknown>;

export interface HealthOptions {
  /** Full names, such as payment.v1.PaymentService. They all have the health of the whole server. */
  readonly services: readonly string[];
  /** Resolves if everything is there that the services cannot do without. */
  readonly probe: () => Promise<unknown>;
  readonly log: Logger;
}

/**
 * grpc.health.v1.Health, that is Check, Watch and List. NOT_SERVING until a probe
 * has succeeded, and again once two in a row have failed.
 */
export class Health {
  readonly #implementation = new HealthImplementation();
  readonly #watchCalls = new Set<WatchCall>();
  readonly #options: HealthOptions;
  #serving = false;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: HealthOptions) {
    this.#options = options;
    this.#publish();
  }

  get serving(): boolean {
    return this.#serving;
  }

  addTo(server: Server): void {
    this.#implementation.addToServer({
      addService: (service, implementation) => {
        const watch = implementation['watch'] as (call: WatchCall) => void;
        const tracked = (call: WatchCall) => {
          if (this.#watchCalls.size >= MAX_WATCH_CALLS) {
            call.emit('error', { code: status.RESOURCE_EXHAUSTED, details: 'too many Watch calls are open' });
            return;
          }
          this.#watchCalls.add(call);
          // Emitted however the call ends.
          call.on('cancelled', () => this.#watchCalls.delete(call));
          // The package keeps an entry for each name that was ever watched, so it only gets names that we have.
          if (this.#isKnown(call.request.service)) watch(call);
          else call.write({ status: 'SERVICE_UNKNOWN' });
        };
        server.addService(service, { ...implementation, watch: tracked });
      },
    });
  }

  /** Probes now and then every second, until stop(). Resolves when the first probe is done. */
  async start(): Promise<void> {
    await this.#check();
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.start(), POLL_MS).unref();
  }

  /** NOT_SERVING from now on. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#set(false);
  }

  /** Ends the Watch calls: they last as long as their callers please, and the server's shutdown waits for them. */
  endWatchCalls(): void {
    for (const call of this.#watchCalls) call.end();
  }

  #isKnown(service: string): boolean {
    return service === '' || this.#options.services.includes(service);
  }

  async #check(): Promise<void> {
    const { probe, log } = this.#options;
    try {
      await withinLimit(probe(), PROBE_LIMIT_MS);
      this.#failures = 0;
      if (!this.#serving && !this.#stopped) {
        log.info('serving');
        this.#set(true);
      }
    } catch (error) {
      this.#failures += 1;
      if (this.#failures !== FAILURES_BEFORE_NOT_SERVING) return;
      log.warn({ err: error }, 'not serving: the database does not answer');
      this.#set(false);
    }
  }

  #set(serving: boolean): void {
    if (this.#serving === serving) return;
    this.#serving = serving;
    this.#publish();
  }

  #publish(): void {
    for (const service of ['', ...this.#options.services]) {
      this.#implementation.setStatus(service, this.#serving ? 'SERVING' : 'NOT_SERVING');
    }
  }
}
