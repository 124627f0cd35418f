import type { EventEmitter } from 'node:events';
import { ServiceError } from '../app/errors.ts';
import { toFailure } from './status.ts';

/** What all streaming calls of grpc-js have in common. */
export interface OpenStream extends EventEmitter {
  /** Address and port of the caller, and so its connection. */
  getPeer(): string;
  end(): unknown;
}

export interface StreamLimits {
  readonly max: number;
  readonly maxPerConnection: number;
}

/** In milliseconds. Streams last as long as their callers please, so nobody knows. */
const RETRY_AFTER_MS = 5_000;

/**
 * The open streams of one kind: they cost memory for as long as their callers please, and whoever reaches the port may
 * open one.
 */
export class OpenStreams {
  readonly #limits: StreamLimits;
  readonly #streams = new Set<OpenStream>();
  readonly #byConnection = new Map<string, number>();

  constructor(limits: StreamLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Counts the stream until it ends. Returns false if there are too many; then it has been told RESOURCE_EXHAUSTED. */
  admit(stream: OpenStream): boolean {
    // Asked now: the connection of a stream that has ended may be gone.
    const connection = stream.getPeer();
    const ofConnection = this.#byConnection.get(connection) ?? 0;
    if (this.#streams.size >= this.#limits.max || ofConnection >= this.#limits.maxPerConnection) {
      const problem = { kind: 'OVERLOADED', retryAfterMs: RETRY_AFTER_MS } as const;
      stream.emit('error', toFailure(new ServiceError(problem, 'Too many streams of this kind are open.')));
      return false;
    }
    this.#streams.add(stream);
    this.#byConnection.set(connection, ofConnection + 1);
    // Emitted however the call ends.
    stream.once('cancelled', () => this.#forget(stream, connection));
    return true;
  }

  /** Ends those that are open: the server's shutdown would wait for them. */
  endAll(): void {
    for (const stream of this.#streams) stream.end();
  }

  #forget(stream: OpenStream, connection: string): void {
    this.#streams.delete(stream);
    const left = (this.#byConnection.get(connection) ?? 0) - 1;
    if (left > 0) this.#byConnection.set(connection, left);
    else this.#byConnection.delete(connection);
  }
}
