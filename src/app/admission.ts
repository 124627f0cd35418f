import { ServiceError } from './errors.ts';

export interface AdmissionLimits {
  /** The most calls that are worked on at a time. */
  readonly maxInFlight: number;
  /** The most calls that wait for their turn. */
  readonly maxQueue: number;
}

interface QueuedCall {
  /** Whether the caller has gone: cancelled, or past its deadline. */
  readonly abandoned: () => boolean;
  readonly begin: () => void;
  readonly reject: (error: ServiceError) => void;
}

/** Long enough for a full queue to move on, in milliseconds. */
const RETRY_AFTER_MS = 500;

/**
 * Keeps a flood of calls from taking more than its share: so many are worked on, so many wait their turn in the
 * order in which they came, and the rest are told at once to come again later.
 */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #queue: QueuedCall[] = [];
  #inFlight = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /**
   * Ends as the work does. Throws ServiceError without having begun it: OVERLOADED if the queue is full; ABANDONED if
   * the caller was gone when its turn came.
   */
  run<T>(work: () => Promise<T>, abandoned: () => boolean): Promise<T> {
    if (this.#inFlight < this.#limits.maxInFlight) return this.#work(work);
    if (this.#queue.length >= this.#limits.maxQueue) {
      const message = `${this.#limits.maxQueue} calls of this kind are waiting already.`;
      return Promise.reject(new ServiceError({ kind: 'OVERLOADED', retryAfterMs: RETRY_AFTER_MS }, message));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ abandoned, begin: () => resolve(this.#work(work)), reject });
    });
  }

  async #work<T>(work: () => Promise<T>): Promise<T> {
    this.#inFlight += 1;
    try {
      return await work();
    } finally {
      this.#inFlight -= 1;
      this.#beginNext();
    }
  }

  #beginNext(): void {
    let next = this.#queue.shift();
    while (next?.abandoned()) {
      next.reject(new ServiceError({ kind: 'ABANDONED' }, 'The call ended before its turn came.'));
      next = this.#queue.shift();
    }
    next?.begin();
  }
}

/** For the calls that share the connections beside those of payments. */
export function admissions(limits: {
  readonly connections: number;
  readonly maxQueuedReads: number;
  readonly maxQueuedOpenings: number;
}) {
  const { connections, maxQueuedReads, maxQueuedOpenings } = limits;
  const share = (divisor: number) => Math.max(1, Math.floor(connections / divisor));
  return {
    // As many as the two statements take that read payments at a time.
    reads: new Admission({ maxInFlight: 512, maxQueue: maxQueuedReads }),
    // Captures and their like, which look for their payment first: a flood of reads must not turn away what moves money.
    actions: new Admission({ maxInFlight: 512, maxQueue: maxQueuedReads }),
    // Each takes a connection for some statements, one after the other.
    lists: new Admission({ maxInFlight: share(4), maxQueue: maxQueuedReads }),
    // Each takes a connection, and reads must not wait for all of them.
    openings: new Admission({ maxInFlight: share(2), maxQueue: maxQueuedOpenings }),
  };
}
