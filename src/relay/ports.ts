/** An event in the outbox, to be published. */
export interface PendingEvent {
  readonly shard: number;
  /** Rises in commit order among the events of one key. */
  readonly position: bigint;
  /** A ULID, the same however often the event is sent. */
  readonly eventId: string;
  /** The same id as the outbox stores it. */
  readonly uuid: string;
  /** The Kafka key: the payer's account id. */
  readonly key: string;
  readonly type: string;
  /** What it is about: the payment's id, or the account's in an event of no payment. */
  readonly subject?: string | undefined;
  /** Protobuf-JSON text. */
  readonly payload: string;
  /** Further Kafka headers, such as traceparent. */
  readonly headers: Readonly<Record<string, string>>;
  readonly createdAt: Date;
  /** Whether its key has a dead letter, so that it must not be sent. */
  readonly blocked: boolean;
}

/** A shard that a worker may publish, until someone else claims it and so changes the epoch. */
export interface Lease {
  readonly shard: number;
  readonly epoch: bigint;
}

export interface ShardPage {
  readonly shard: number;
  /** Events to leave out, by uuid: those on their way to Kafka or acknowledged by it. */
  readonly except: readonly string[];
}

/**
 * Where a row is and which event it was. A position alone does not tell: a standby that is
 * promoted without the last commits gives their positions to other events.
 */
export type OutboxRow = Pick<PendingEvent, 'position' | 'uuid'>;

export interface Acknowledged {
  readonly lease: Lease;
  readonly events: readonly OutboxRow[];
}

/**
 * The outbox as the relay uses it. Each method is one statement that commits by
 * itself. Writes take hold only while the lease's epoch is current.
 */
export interface Outbox {
  /**
   * The lowest events left in each of the shards, by position, up to the limits for
   * each shard (at least one, however large). It never starts from a remembered
   * position: an event with a lower one may commit later.
   */
  read(pages: readonly ShardPage[], limits: PageLimits): Promise<PendingEvent[]>;
  /** Deletes published events. Returns the shards whose lease was current. */
  remove(published: readonly Acknowledged[]): Promise<ReadonlySet<number>>;
  /** Moves an event that Kafka rejects for good to the dead letters. False if the lease was not current. */
  deadLetter(lease: Lease, event: PendingEvent, reason: string): Promise<boolean>;
  /**
   * Moves events aside that come after a dead letter of their key. Those whose dead
   * letter was redriven or discarded meanwhile stay where they are.
   */
  block(lease: Lease, events: readonly PendingEvent[]): Promise<void>;
  /** Frees the space of deleted events for new ones. Does nothing while another vacuum runs. */
  vacuum(): Promise<void>;
}

export interface PageLimits {
  readonly maxEvents: number;
  /** Of payload. */
  readonly maxBytes: number;
}

/** Who publishes which shard. All times are by Postgres' clock. */
export interface ShardLeases {
  /** Marks the worker as alive and prolongs its leases, also those that have lapsed and were not taken. */
  renew(workerId: string, leaseMs: number): Promise<LeaseView>;
  /** Claims up to count shards that nobody owns, each with a new epoch. */
  claim(workerId: string, leaseMs: number, count: number): Promise<Lease[]>;
  /** Gives shards back at once; those taken by others are left alone. */
  release(workerId: string, leases: readonly Lease[]): Promise<void>;
  /** Removes the worker from those that share the shards. */
  leave(workerId: string): Promise<void>;
}

export interface LeaseView {
  readonly owned: readonly Lease[];
  /** All workers alive, this one included, in the same order for everyone. */
  readonly workers: readonly string[];
  readonly shards: number;
  /** Shards that nobody owns. */
  readonly unowned: number;
}

/** Hints between processes. All may be lost: they only make things happen sooner. */
export interface Signals {
  /** Events were committed. */
  onCommitted(listener: () => void): void;
  /** Shards came free, or the number of workers changed. */
  onShardsChanged(listener: () => void): void;
  shardsChanged(): void;
}

/** Sends events to Kafka. */
export interface EventPublisher {
  /**
   * Sends events of one shard to the partition of the same number, in order, as one
   * batch: all of them are written or none. Resolves when all replicas that must
   * have it do.
   *
   * Throws EventRejectedError if Kafka will never accept the batch; any other error means
   * that it may be sent again, though it may already have been written.
   */
  publish(shard: number, events: readonly PendingEvent[]): Promise<void>;
  /** Resolves if the brokers answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** An event that Kafka rejected for good, and what it blocks. */
export interface DeadLetter {
  readonly eventId: string;
  readonly shard: number;
  readonly key: string;
  readonly type: string;
  readonly payload: string;
  /** Kafka's error. */
  readonly reason: string;
  readonly createdAt: Date;
  readonly deadAt: Date;
  /** Later events of its key that the relay has met so far. */
  readonly blocked: number;
}

/** What an operator can do about dead letters. Each method is one transaction. */
export interface DeadLetters {
  /** Oldest first. */
  list(limit: number): Promise<DeadLetter[]>;
  /**
   * Puts the event back where it was in the outbox, and behind it those that it blocked:
   * they are published in their order. Undefined if there is no such dead letter.
   */
  redrive(eventId: string): Promise<DeadLetter | undefined>;
  /** Deletes the event, which is then never published, remembers that, and lets those that it blocked go on. */
  discard(eventId: string): Promise<DeadLetter | undefined>;
}

/** How far behind the relay is, as one snapshot of the database shows it. */
export interface OutboxSample {
  /** Events in the outbox; blocked ones are not among them. */
  readonly pending: number;
  /** Age of the oldest of them; 0 if there is none. */
  readonly oldestPendingSeconds: number;
  /** Each blocks its key. */
  readonly deadLetters: number;
  /** Events behind a dead letter of their key. */
  readonly blocked: number;
  /** Age of the oldest dead letter or blocked event; 0 if there is none. */
  readonly oldestBlockedSeconds: number;
  /** Age of the longest open transaction: vacuum cannot clean up behind it, and the outbox slows down. */
  readonly oldestTransactionSeconds: number;
}

/** Kafka rejects the batch because of what is in it, and will do so every time. */
export class EventRejectedError extends Error {
  override readonly name = 'EventRejectedError';
}

/** What the relay tells the log; pino's shape. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
