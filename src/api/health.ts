import {
  type Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { service } from 'grpc-health-check';
import type { Logger } from 'pino';
import { withinLimit } from '../app/time-limit.ts';
import { OpenStreams } from './open-streams.ts';

const POLL_MS = 1_000;
/** A database that takes longer to answer is as good as gone. */
const PROBE_LIMIT_MS = 1_000;
/** One failed probe may be one lost connection, and turning all traffic away for that would do harm. */
const FAILURES_BEFORE_NOT_SERVING = 2;

/** A Watch for each balancer and each client, and a few clients behind one connection. */
export const WATCH_LIMITS = { max: 1_000, maxPerConnection: 100 };

const MAX_NAME_LENGTH = 255;
const NAME_TOO_LONG = {
  code: status.INVALID_ARGUMENT,
  details: `a service's name has at most ${MAX_NAME_LENGTH} characters`,
};

interface HealthCheckRequest {
  readonly service: string;
}

interface HealthCheckResponse {
  readonly status: 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';
}

type WatchCall = ServerWritableStream<HealthCheckRequest, HealthCheckResponse>;

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
  /** Open Watch calls. */
  readonly watches: OpenStreams;
  readonly #options: HealthOptions;
  /** Those to be told of changes. */
  readonly #watchers = new Set<WatchCall>();
  /** Full names, and the empty one of the whole server. */
  readonly #names: readonly string[];
  #serving = false;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: HealthOptions) {
    this.#options = options;
    this.#names = ['', ...options.services];
    this.watches = new OpenStreams(WATCH_LIMITS);
  }

  get serving(): boolean {
    return this.#serving;
  }

  /** Written here, for the package's own Watch keeps for ever every name that anyone has watched. */
  addTo(server: Pick<Server, 'addService'>): void {
    server.addService(service, {
      check: (
        { request }: ServerUnaryCall<HealthCheckRequest, HealthCheckResponse>,
        callback: sendUnaryData<HealthCheckResponse>,
      ) => this.#check(request.service, callback),
      watch: (call: WatchCall) => this.#watch(call),
      list: (_call: unknown, callback: sendUnaryData<{ statuses: Record<string, HealthCheckResponse> }>) =>
        callback(null, { statuses: Object.fromEntries(this.#names.map((name) => [name, this.#status()])) }),
    });
  }

  /** Probes now and then every second, until stop(). Resolves when the first probe is done. */
  async start(): Promise<void> {
    await this.#probe();
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.start(), POLL_MS).unref();
  }

  /** NOT_SERVING from now on. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#set(false);
  }

  #check(name: string, callback: sendUnaryData<HealthCheckResponse>): void {
    if (name.length > MAX_NAME_LENGTH) callback(NAME_TOO_LONG);
    else if (this.#names.includes(name)) callback(null, this.#status());
    else callback({ code: status.NOT_FOUND, details: `there is no service ${name}` });
  }

  #watch(call: WatchCall): void {
    const name = call.request.service;
    if (name.length > MAX_NAME_LENGTH) {
      call.emit('error', NAME_TOO_LONG);
      return;
    }
    if (!this.watches.admit(call)) return;
    if (!this.#names.includes(name)) {
      // The protocol wants it kept open: the service might be added. Ours are not.
      call.write({ status: 'SERVICE_UNKNOWN' });
      return;
    }
    this.#watchers.add(call);
    call.once('cancelled', () => this.#watchers.delete(call));
    call.write(this.#status());
  }

  async #probe(): Promise<void> {
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
    for (const call of this.#watchers) call.write(this.#status());
  }

  #status(): HealthCheckResponse {
    return { status: this.#serving ? 'SERVING' : 'NOT_SERVING' };
  }
}
