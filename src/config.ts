import { z } from 'zod';
import { accessVariables, checkAccess } from './config/access.ts';
import { connectionVariables } from './config/connections.ts';
import { checkDatabase, databaseUrl, databaseVariables } from './config/database.ts';
import { loadVariables } from './config/environment.ts';
import { checkKafka, kafkaVariables } from './config/kafka.ts';
import { checkRedis, redisVariables } from './config/redis.ts';
import { count, flag, port, positive, retentionMs, uriReference } from './config/values.ts';

export { ConfigError } from './config/environment.ts';
export { kafkaAddress } from './config/kafka.ts';
export { redisAddress } from './config/redis.ts';

const shared = {
  ...databaseVariables,
  ...redisVariables,
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  /** 1 refuses to start with a database role that can get round the rules of the books. */
  REQUIRE_LEAST_PRIVILEGE: flag,
  /** On SIGTERM, how long calls and sends in flight may take to finish. */
  SHUTDOWN_GRACE_MS: count(10_000, 600_000),
};

const apiVariables = z.object({
  ...shared,
  ...accessVariables,
  ...connectionVariables,
  /** 0 takes a free port. */
  GRPC_PORT: port.default(50_051),
  /** Payments take two at a time; the others are for looking at who keeps a lock. */
  DATABASE_POOL_SIZE: z.coerce.number().int().min(4).max(1_000).default(10),
  /** Connections for reads and for opening accounts, which have none of the payments'. */
  READ_POOL_SIZE: count(4, 1_000),
  /** The most reads that wait for their turn; beyond it callers get RESOURCE_EXHAUSTED. */
  READ_MAX_QUEUE: count(4_000),
  /** The same for accounts to open. */
  OPEN_ACCOUNT_MAX_QUEUE: count(200),
  /** Tokens in a full bucket of a payer: the largest burst. */
  RATE_LIMIT_CAPACITY: count(200),
  /** Tokens that flow back each second: the lasting rate. */
  RATE_LIMIT_REFILL_PER_SECOND: count(100),
  /** The same for EXTERNAL payers; not set is no limit for them. */
  RATE_LIMIT_EXTERNAL_CAPACITY: positive().optional(),
  RATE_LIMIT_EXTERNAL_REFILL_PER_SECOND: positive().optional(),
  /** The most payments in one transaction. */
  GROUP_COMMIT_MAX_BATCH: count(256, 10_000),
  /** The most payments that wait for a transaction; beyond it callers get RESOURCE_EXHAUSTED. */
  GROUP_COMMIT_MAX_QUEUE: count(10_000),
  /** Whether callers may ask for the services and their messages, as grpcurl does. */
  REFLECTION: z.enum(['on', 'off']).default('on'),
  /** On SIGTERM, how long to answer NOT_SERVING before connections close, for the balancer to notice. */
  SHUTDOWN_DRAIN_MS: z.coerce.number().int().min(0).max(600_000).default(0),
  /** Prometheus metrics, /healthz and /readyz. 0 takes a free port. */
  METRICS_HOST: z.string().min(1).default('127.0.0.1'),
  METRICS_PORT: port.default(9_465),
});

const wholeExternalLimit = (config: z.infer<typeof apiVariables>) =>
  (config.RATE_LIMIT_EXTERNAL_CAPACITY === undefined) === (config.RATE_LIMIT_EXTERNAL_REFILL_PER_SECOND === undefined);

const checkedApiVariables = apiVariables.refine(wholeExternalLimit, {
  path: ['RATE_LIMIT_EXTERNAL_REFILL_PER_SECOND'],
  error: 'goes with RATE_LIMIT_EXTERNAL_CAPACITY: set both or neither',
});

/** ce_source of the events, by which consumers tell this ledger from others. */
const sourceVariables = { CE_SOURCE: uriReference.default('/payment-ledger') };

const relayVariables = z.object({
  ...shared,
  ...kafkaVariables,
  /** For the topic, where the relay has to create it. */
  KAFKA_REPLICATION_FACTOR: count(1, 10),
  /** How long the topic keeps events, -1 for ever; not set leaves an existing topic as it is. Audits read back an hour. */
  KAFKA_RETENTION_MS: retentionMs.optional(),
  ...sourceVariables,
  /** How long a shard stays with a worker that stopped renewing. */
  RELAY_LEASE_MS: count(10_000, 600_000),
  /** The most events in one send. */
  RELAY_BATCH_SIZE: count(500, 10_000),
  /** The most payload in one send; a topic that accepts less makes the relay send in halves. */
  RELAY_BATCH_BYTES: count(524_288, 16_777_216),
  /** How often to look for events when no hint arrives. */
  RELAY_POLL_MS: count(500, 60_000),
  /** How often the payments since the last time are reconciled; the whole books are once a day. */
  RECONCILE_EVERY_MS: count(300_000, 86_400_000),
  /** How often the events of payments are looked for on Kafka; 0 is never. */
  AUDIT_EVENTS_EVERY_MS: z.coerce.number().int().min(0).max(86_400_000).default(900_000),
  /** How long a key stays taken; not set is for ever. */
  IDEMPOTENCY_KEY_RETENTION_DAYS: z.coerce.number().int().min(1).max(3_650).optional(),
  /** Prometheus metrics, /healthz and /readyz. 0 takes a free port. */
  METRICS_HOST: z.string().min(1).default('127.0.0.1'),
  METRICS_PORT: port.default(9_464),
});

/** For commands that need the database alone. */
const commandVariables = z.object(databaseVariables);

/** For commands that look at events too. */
const eventsVariables = z.object({ ...databaseVariables, ...kafkaVariables, ...sourceVariables });

/** For commands that need the topic alone. */
const topicVariables = z.object(kafkaVariables);

const migrateVariables = z.object({
  ...databaseVariables,
  /** The roles that it gives rights to, and creates where it may. */
  LEDGER_APPLICATION_ROLE: z.string().optional(),
  LEDGER_READER_ROLE: z.string().optional(),
});

export type ApiConfig = ReturnType<typeof loadApiConfig>;

// Each throws a ConfigError that names every bad variable.

export function loadApiConfig(env: NodeJS.ProcessEnv) {
  const variables = loadVariables(
    checkedApiVariables.superRefine(checkDatabase).superRefine(checkRedis).check(checkAccess),
    env,
  );
  return Object.freeze({ ...variables, DATABASE_URL: databaseUrl(variables) });
}

export function loadRelayConfig(env: NodeJS.ProcessEnv) {
  const variables = loadVariables(
    relayVariables.superRefine(checkDatabase).superRefine(checkRedis).superRefine(checkKafka),
    env,
  );
  return Object.freeze({ ...variables, DATABASE_URL: databaseUrl(variables) });
}

export function loadCommandConfig(env: NodeJS.ProcessEnv) {
  const variables = loadVariables(commandVariables.superRefine(checkDatabase), env);
  return Object.freeze({ ...variables, DATABASE_URL: databaseUrl(variables) });
}

export function loadEventsConfig(env: NodeJS.ProcessEnv) {
  const variables = loadVariables(eventsVariables.superRefine(checkDatabase).superRefine(checkKafka), env);
  return Object.freeze({ ...variables, DATABASE_URL: databaseUrl(variables) });
}

export function loadTopicConfig(env: NodeJS.ProcessEnv) {
  return Object.freeze(loadVariables(topicVariables.superRefine(checkKafka), env));
}

export function loadMigrateConfig(env: NodeJS.ProcessEnv) {
  const variables = loadVariables(migrateVariables.superRefine(checkDatabase), env);
  return Object.freeze({ ...variables, DATABASE_URL: databaseUrl(variables) });
}

/** The bucket of an EXTERNAL payer; undefined is no limit. */
export function externalLimit(config: ApiConfig) {
  const { RATE_LIMIT_EXTERNAL_CAPACITY: capacity, RATE_LIMIT_EXTERNAL_REFILL_PER_SECOND: refillPerSecond } = config;
  if (capacity === undefined || refillPerSecond === undefined) return undefined;
  return { capacity, refillPerSecond };
}
