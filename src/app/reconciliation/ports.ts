import type { AccountEventType } from '../domain/account-event.ts';
import type { PaymentEventType } from '../domain/event.ts';

/** Where an audit of events goes on. */
export interface AuditPosition {
  readonly topic: string;
  /** Payments up to and with this id were audited. */
  readonly auditedTo: string;
  /** By partition. */
  readonly partitions: readonly PartitionPosition[];
}

export interface PartitionPosition {
  /** The events of later payments are at this offset or beyond it. */
  readonly offset: bigint;
  /**
   * The topic retains all events of payments from then on, in milliseconds since 1970;
   * undefined while that is not known.
   */
  readonly retainedSinceMs: number | undefined;
}

/** The event that a payment or a change of an account calls for. */
export interface AuditedEvent {
  /** Of the payment, the later action on it, or the change. */
  readonly eventId: string;
  /** The Kafka key: the payer, or the account. */
  readonly key: string;
  readonly type: PaymentEventType | AccountEventType;
  /** What its payload must have, among other things, or not have. */
  readonly fields: Readonly<Record<string, string | undefined>>;
  /** SENT: it must be on Kafka. PENDING: in the outbox, blocked, or a dead letter. DISCARDED by an operator. */
  readonly state: 'SENT' | 'PENDING' | 'DISCARDED';
  /** An earlier audit has not found it. */
  readonly missing: boolean;
}

/** Payments and changes of accounts as committed, and what the outbox says of their events. */
export interface AuditedEvents {
  /** The first after one id and up to another, by id, as one snapshot shows them. */
  page(afterId: string, toId: string, limit: number): Promise<AuditedEvent[]>;
  /** The first after the id that are unconfirmed, with what the outbox says of them now. */
  unconfirmed(afterId: string, limit: number): Promise<AuditedEvent[]>;
  /** By the database's clock. */
  now(): Promise<Date>;
  /** Whether the outbox has more events than that. */
  morePending(limit: number): Promise<boolean>;
  /** Those of the ids that belong to neither a payment nor a change of an account. */
  unknown(eventIds: readonly string[]): Promise<string[]>;
}

/** A record of the topic, as far as an audit looks at it. */
export interface SentEvent {
  readonly partition: number;
  readonly offset: bigint;
  readonly sentAtMs: number;
  /** Empty if it has none; so are key, type and value. */
  readonly eventId: string;
  readonly key: string;
  readonly type: string;
  readonly value: string;
}

/** The topic as it is read. */
export interface EventLog {
  readonly topic: string;
  /** For each partition: what it retains, and the first record that was sent at that time or later. */
  locate(timeMs: number): Promise<LocatedPartition[]>;
  /**
   * Reads from the offsets on to where the topic ends now, or until enough says so; it
   * is given the offsets that were reached. Records come in order within a partition,
   * each once.
   */
  read(
    from: readonly bigint[],
    onRecords: (records: readonly SentEvent[]) => Promise<void>,
    enough: (reached: readonly bigint[]) => boolean,
    signal: AbortSignal,
  ): Promise<ReadPartition[]>;
}

export interface ReadPartition {
  /** The first record retained after reading: what was removed meanwhile may not have been read. */
  readonly begin: bigint;
  /** One past the last record that was read. */
  readonly reached: bigint;
}

export interface LocatedPartition {
  /** The first record it retains. */
  readonly begin: bigint;
  /** One past the last record. */
  readonly end: bigint;
  /** The first record of the time or later; the end if there is none. */
  readonly offset: bigint;
}

/** What audits found, and where they go on. */
export interface AuditRecords {
  /** Rejects, for good, the steps that were made in the future or go beyond the id. Returns how many. */
  rejectFuture(latestId: string): Promise<number>;
  last(): Promise<RecordedStep | undefined>;
  /** Adds a step that follows another, in one transaction. Throws if that one was followed already. */
  add(step: AuditStep, previous: RecordedStep | undefined): Promise<RecordedStep>;
  /** Events that were found or discarded need no further look; others are missing. */
  confirm(confirmed: readonly string[], missing: readonly string[]): Promise<void>;
  countUnconfirmed(): Promise<{ pending: number; missing: number }>;
  /** A few of those that are missing, the oldest first. */
  missing(limit: number): Promise<string[]>;
}

export interface RecordedStep {
  readonly auditId: bigint;
  readonly position: AuditPosition;
}

/** What one page of payments came to. */
export interface AuditStep {
  /** After it. */
  readonly position: AuditPosition;
  readonly paymentsAudited: number;
  /** Their events had not been sent yet. */
  readonly pending: readonly string[];
  /** Their events are neither on Kafka nor pending. */
  readonly missing: readonly string[];
  /** As missing, but the topic no longer retains all that was sent in their time. */
  readonly unverifiable: number;
  /** Records that belong to no payment, or are not what their payment calls for: a sentence each. */
  readonly orphaned: readonly string[];
  /** Whether there are further payments up to the limit that was given. */
  readonly more: boolean;
  /**
   * Where the next page may begin to read, if it follows at once: the first record of a
   * later payment that was seen, by partition. Pending events may have been passed.
   */
  readonly readFrom: readonly bigint[];
}

/** The state of all audits, as metrics show it. */
export interface AuditSample {
  readonly auditedToMs: number;
  readonly missing: number;
  /** In the last day. */
  readonly unverifiable: number;
  readonly orphaned: number;
}
