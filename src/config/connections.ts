import { z } from 'zod';
import { count } from './values.ts';

const DAY_MS = 86_400_000;

/** The API's settings of what connections and messages may be like. */
export const connectionVariables = {
  /** The most connections at a time; those beyond it are closed at once. */
  GRPC_MAX_CONNECTIONS: count(1_000, 1_000_000),
  /**
   * The most calls in flight on one connection. It is far more than keeps a replica busy, and a client with more
   * waits instead of failing.
   */
  GRPC_MAX_CONCURRENT_STREAMS: count(1_000, 100_000),
  /** The most bytes of a request; the default is ten times what the largest valid one takes. */
  GRPC_MAX_MESSAGE_BYTES: z.coerce.number().int().min(8_192).max(67_108_864).default(65_536),
  /**
   * The most bytes of an answer; the default is what clients take unless told otherwise. The least has room for an
   * action with its payment: what was done and cannot be told of is told as if it had failed.
   */
  GRPC_MAX_RESPONSE_BYTES: z.coerce.number().int().min(131_072).max(67_108_864).default(4_194_304),
  /** How often a silent connection is asked for a sign of life, which it owes within 20 seconds. */
  GRPC_KEEPALIVE_MS: z.coerce.number().int().min(1_000).max(DAY_MS).default(60_000),
  /** How old a connection gets, give or take a tenth: clients behind a balancer then find new replicas. 0 is any age. */
  GRPC_MAX_CONNECTION_AGE_MS: z.coerce.number().int().min(0).max(DAY_MS).default(600_000),
  /** How long calls on a connection that is too old may take to finish. */
  GRPC_MAX_CONNECTION_AGE_GRACE_MS: count(30_000, DAY_MS),
};

const settings = z.object(connectionVariables);

/** What the server is told of its connections; the defaults without variables. */
export function connectionLimits(config: z.infer<typeof settings> = settings.parse({})) {
  return {
    maxConnections: config.GRPC_MAX_CONNECTIONS,
    maxStreams: config.GRPC_MAX_CONCURRENT_STREAMS,
    maxRequestBytes: config.GRPC_MAX_MESSAGE_BYTES,
    maxResponseBytes: config.GRPC_MAX_RESPONSE_BYTES,
    keepaliveMs: config.GRPC_KEEPALIVE_MS,
    maxAgeMs: config.GRPC_MAX_CONNECTION_AGE_MS,
    ageGraceMs: config.GRPC_MAX_CONNECTION_AGE_GRACE_MS,
  };
}
