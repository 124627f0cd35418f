/** How the two accounts of a payment are drawn. */
export type Pattern =
  /** Both with equal chance from all accounts. */
  | 'uniform'
  /** Both by Zipf's law: few accounts are in most payments. */
  | 'zipf'
  /** Always the same two, in either direction. */
  | 'hot';

/** What is called, with what. */
export type Calls =
  /** Payments with a new key each. */
  | { readonly kind: 'authorize'; readonly pattern: Pattern; readonly accounts: number }
  /** One payment sent again and again from a set of keys, each of them known after its first time. */
  | { readonly kind: 'duplicate'; readonly accounts: number; readonly keys: number }
  | { readonly kind: 'balance'; readonly accounts: number }
  | { readonly kind: 'payment'; readonly paymentIds: readonly string[] }
  /** Holds with a new key each. */
  | { readonly kind: 'hold'; readonly accounts: number }
  /** Of so many transfers, as one; with a new key each. */
  | { readonly kind: 'batch'; readonly accounts: number; readonly transfers: number }
  /** Of all that is on hold, or was captured, of one payment after the other. */
  | { readonly kind: 'capture' | 'refund'; readonly paymentIds: readonly string[] }
  /** Pages of 100 entries of any of the accounts, each from any version on backwards. */
  | { readonly kind: 'statement'; readonly accounts: number; readonly lastVersion: number }
  /** Of any of the accounts at any time between the two, in milliseconds since 1970. */
  | { readonly kind: 'snapshot'; readonly accounts: number; readonly fromMs: number; readonly toMs: number };

export type Client = 'frames' | 'grpc-js';

/** How callers show who they are; certificates and key in PEM. */
export interface Credentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** A bearer token. */
  readonly token: string;
}

/** What a load process is asked to do. */
export interface Job {
  /** host:port of the server. */
  readonly address: string;
  readonly client: Client;
  /** Over TLS; of the frames client only. */
  readonly credentials?: Credentials | undefined;
  readonly connections: number;
  readonly calls: Calls;
  /**
   * Closed: so many callers, each of whom calls again as soon as it has its answer.
   * Open: so many calls a second, whatever becomes of those before.
   */
  readonly load:
    | { readonly kind: 'closed'; readonly callers: number }
    | { readonly kind: 'open'; readonly perSecond: number };
  /** Calls before the measurement begins, in milliseconds. */
  readonly rampMs: number;
  readonly durationMs: number;
  /** With it, a result for every such span instead of one for the whole; in milliseconds. */
  readonly intervalMs?: number | undefined;
  readonly seed: number;
}

/** What was measured in a span of time. */
export interface Result {
  readonly durationMs: number;
  /** How many calls ended in what way: AUTHORIZED, DUPLICATE, TAKEN, OK, or the name of a gRPC status. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Of a Histogram. */
  readonly latency: readonly number[];
}

/** What a load process says. */
export type Report =
  | { readonly kind: 'began' }
  | { readonly kind: 'interval'; readonly result: Result }
  | { readonly kind: 'ended'; readonly result: Result }
  | { readonly kind: 'failed'; readonly message: string };
