import '../heap.ts';
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { orExit } from '../config/or-exit.ts';
import { loadTracing } from '../config/tracing.ts';
import { kafkaAddress, loadRelayConfig, redisAddress } from '../config.ts';
import { kafkaClient } from '../infra/kafka/client.ts';
import { kafkaEventLog } from '../infra/kafka/event-log.ts';
import { KafkaPublisher } from '../infra/kafka/publisher.ts';
import { ensureTopic, TopicMismatchError } from '../infra/kafka/topic.ts';
import { checkRetention, DEFAULT_RETENTION_MS } from '../infra/kafka/topic-retention.ts';
import { createLog } from '../infra/log.ts';
import { startMetricsServer } from '../infra/metrics/metrics-server.ts';
import { poolGauges } from '../infra/metrics/pool-gauges.ts';
import { processRegistry } from '../infra/metrics/process-registry.ts';
import { postgresOutbox } from '../infra/postgres/outbox/outbox.ts';
import { sampleOutbox } from '../infra/postgres/outbox/sample.ts';
import { countShards } from '../infra/postgres/outbox/shard-count.ts';
import { postgresShardLeases } from '../infra/postgres/outbox/shard-leases.ts';
import { createPool } from '../infra/postgres/pool.ts';
import { postgresAuditRecords, sampleAudits } from '../infra/postgres/reconciliation/audit-records.ts';
import { postgresAuditedEvents } from '../infra/postgres/reconciliation/audited-events.ts';
import { postgresBooks } from '../infra/postgres/reconciliation/books.ts';
import { postgresReconciliationHistory } from '../infra/postgres/reconciliation/history.ts';
import { postgresIdempotencyKeys } from '../infra/postgres/reconciliation/idempotency-keys.ts';
import { startUpChecks } from '../infra/postgres/start-up-checks.ts';
import { connectRedisForJobs } from '../infra/redis/connection.ts';
import { redisSignals } from '../infra/redis/signals.ts';
import { onStopSignal } from '../infra/stop-signal.ts';
import { startTracing } from '../infra/tracing/start-tracing.ts';
import { Backoff } from './backoff.ts';
import { Health } from './health.ts';
import { JobRunner } from './job-runner.ts';
import { jobs } from './jobs.ts';
import { auditGauges, booksGauges, jobMetrics, outboxGauges, relayMetrics } from './metrics.ts';
import { Relay } from './relay.ts';
import { SampledGauges } from './sampled-gauges.ts';
import { tracedPublisher } from './traced-publisher.ts';

const config = orExit(() => loadRelayConfig(process.env));
const log = createLog(config.LOG_LEVEL, { process: 'relay', pid: process.pid });
process.on('uncaughtException', (error, origin) => {
  log.fatal({ err: error, origin }, 'uncaught exception');
  process.exit(1);
});
// kafkajs makes Node warn of a harmless negative timeout each time it connects.
process.removeAllListeners('warning');
process.on('warning', (warning) => log.debug({ err: warning }, 'Node warns'));

const stopping = new AbortController();
onStopSignal(process, log, () => stopping.abort());

const workerId = `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`;
const tracing = await startTracing(
  orExit(() => loadTracing(process.env, 'payment-ledger-relay')),
  log,
);
const registry = processRegistry();

const pool = createPool({
  connectionString: config.DATABASE_URL,
  // One each to read, to delete, to renew, to dead-letter or block, to vacuum and for a job, and three for a scrape's samples.
  max: 9,
  // The first three are always in use; opened for each use they would come late on a busy machine.
  keepOpen: 3,
  // Nobody waits for an answer here.
  connectTimeoutMs: 5_000,
  applicationName: 'payment-ledger-relay',
  queryTimeoutMs: 10_000,
  onIdleError: (error) => log.warn({ err: error }, 'Postgres closed an idle connection'),
});
// What reads much has connections of its own, and no query of it outlives its client.
const readerPool = createPool({
  connectionString: config.DATABASE_URL,
  max: 2,
  applicationName: 'payment-ledger-relay-reader',
  queryTimeoutMs: 20_000,
  serverTimeouts: { statement: 15_000, lock: 1_000, idleInTransaction: 15_000 },
  onIdleError: (error) => log.warn({ err: error }, 'Postgres closed an idle connection'),
});
const kafkaSettings = { ...kafkaAddress(config), clientId: `payment-ledger-relay-${workerId}` };
const kafka = kafkaClient(kafkaSettings, log);
const publisher = new KafkaPublisher(
  kafkaSettings,
  { topic: config.KAFKA_TOPIC, source: config.CE_SOURCE, ackTimeoutMs: 5_000, rebuildAfterMs: 10_000 },
  log,
);
const signals = redisSignals(redisAddress(config), log);
const relay = new Relay(
  {
    workerId,
    leaseMs: config.RELAY_LEASE_MS,
    batchSize: config.RELAY_BATCH_SIZE,
    batchBytes: config.RELAY_BATCH_BYTES,
    pollMs: config.RELAY_POLL_MS,
  },
  {
    outbox: postgresOutbox(pool),
    leases: postgresShardLeases(pool),
    publisher: tracing ? tracedPublisher(publisher, tracing.tracer, config.KAFKA_TOPIC) : publisher,
    signals,
    metrics: relayMetrics(registry),
    log,
  },
);
const history = postgresReconciliationHistory(pool);
const sampled = new SampledGauges(registry, log);
outboxGauges(sampled, () => sampleOutbox(pool));
booksGauges(sampled, history);
auditGauges(sampled, () => sampleAudits(pool));
poolGauges(registry, { relay: pool, reader: readerPool });
const jobRunner = new JobRunner(
  jobs(
    {
      books: postgresBooks(readerPool),
      history,
      keys: postgresIdempotencyKeys(readerPool),
      audit: {
        events: postgresAuditedEvents(pool),
        log: kafkaEventLog(kafka, config.KAFKA_TOPIC),
        records: postgresAuditRecords(pool),
      },
      sampleOutbox: () => sampleOutbox(pool),
      log,
    },
    {
      reconcileEveryMs: config.RECONCILE_EVERY_MS,
      auditEventsEveryMs: config.AUDIT_EVENTS_EVERY_MS,
      keyRetentionDays: config.IDEMPOTENCY_KEY_RETENTION_DAYS,
    },
  ),
  { redis: connectRedisForJobs(redisAddress(config), log), queue: 'payment-ledger-housekeeping', rescheduleMs: 60_000 },
  jobMetrics(registry),
  log,
);
const health = new Health({ relay, publisher, leaseMs: config.RELAY_LEASE_MS });
const metricsServer = await startMetricsServer({
  host: config.METRICS_HOST,
  port: config.METRICS_PORT,
  registry,
  healthy: health.healthy,
  ready: health.ready,
});

if (await topicReady(pool)) {
  relay.start();
  health.start();
  jobRunner.start();
  log.info({ workerId, topic: config.KAFKA_TOPIC, metrics: metricsServer.address }, 'relay ready');
  if (!stopping.signal.aborted) await new Promise((resolve) => stopping.signal.addEventListener('abort', resolve));
  await relay.stop(config.SHUTDOWN_GRACE_MS);
}
health.stop();
await Promise.allSettled([jobRunner.stop(), publisher.close(), signals.close(), metricsServer.close()]);
await Promise.all([pool.end(), readerPool.end(), tracing?.stop(config.SHUTDOWN_GRACE_MS)]);
log.info('relay stopped');
// A job that was given up may still be waiting for Kafka.
process.exit();

function leave(message: string): never {
  log.fatal(message);
  process.exit(1);
}

/** Waits until the topic is there and fits; false if the process is to stop before. */
async function topicReady(database: pg.Pool): Promise<boolean> {
  const wait = new Backoff(250, 5_000);
  const databaseChecks = startUpChecks(database, {
    leastPrivilege: config.REQUIRE_LEAST_PRIVILEGE === '1',
    report: { warn: (message) => log.warn(message), fatal: leave },
  });
  while (!stopping.signal.aborted) {
    try {
      await databaseChecks();
      await ensureTopic(kafka, {
        topic: config.KAFKA_TOPIC,
        partitions: await countShards(database),
        replicationFactor: config.KAFKA_REPLICATION_FACTOR,
        retentionMs: config.KAFKA_RETENTION_MS ?? DEFAULT_RETENTION_MS,
      });
      await checkRetention(kafkaSettings, { topic: config.KAFKA_TOPIC, wantedMs: config.KAFKA_RETENTION_MS }, log);
      return true;
    } catch (error) {
      if (error instanceof TopicMismatchError) leave(error.message);
      log.warn({ err: error }, 'waiting for Postgres and Kafka');
      await sleep(wait.next(), undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }
  return false;
}
