import '../heap.ts';
import type pg from 'pg';
import { AccountChanges } from '../app/account-changes.ts';
import { AccountTypes } from '../app/account-types.ts';
import { admissions } from '../app/admission.ts';
import { paymentTransaction } from '../app/decide-payments.ts';
import { GroupCommit } from '../app/group-commit.ts';
import { LimitByAccountType } from '../app/limit-by-account-type.ts';
import { Accounts } from '../app/payment-service.ts';
import { Reads } from '../app/reads.ts';
import { tracedTransaction } from '../app/traced-transaction.ts';
import { accessSettings, callerLimit, listensUnprotected, tlsSettings } from '../config/access.ts';
import { connectionLimits } from '../config/connections.ts';
import { orExit } from '../config/or-exit.ts';
import { loadTracing } from '../config/tracing.ts';
import { externalLimit, loadApiConfig, redisAddress } from '../config.ts';
import { createLog } from '../infra/log.ts';
import { startMetricsServer } from '../infra/metrics/metrics-server.ts';
import { poolGauges } from '../infra/metrics/pool-gauges.ts';
import { processRegistry } from '../infra/metrics/process-registry.ts';
import { databaseOutage, expiryOutage, limiterOutage } from '../infra/outages.ts';
import { apiPools } from '../infra/postgres/api-pools.ts';
import { shardCount } from '../infra/postgres/outbox/shard-count.ts';
import { postgresAccountLedger } from '../infra/postgres/payments/change-account.ts';
import { postgresLedger } from '../infra/postgres/payments/ledger.ts';
import { postgresListings } from '../infra/postgres/payments/listings.ts';
import { PostgresUnitOfWork } from '../infra/postgres/payments/unit-of-work.ts';
import { openKept } from '../infra/postgres/pool.ts';
import { probeWritable } from '../infra/postgres/probe.ts';
import { startUpChecks } from '../infra/postgres/start-up-checks.ts';
import { connectRedis } from '../infra/redis/connection.ts';
import { RedisOutboxHint } from '../infra/redis/outbox-hint.ts';
import { limiterDecisions, RedisTokenBuckets } from '../infra/redis/token-bucket.ts';
import { onStopSignal } from '../infra/stop-signal.ts';
import { startTracing } from '../infra/tracing/start-tracing.ts';
import { openAccess } from './access/open-access.ts';
import { serverCredentials } from './access/tls.ts';
import { AccessFileError } from './access/watched-files.ts';
import { CallLog } from './call-log.ts';
import { Health } from './health.ts';
import { listen } from './listen.ts';
import { AccountMetrics } from './metrics/account-metrics.ts';
import { CallMetrics } from './metrics/call-metrics.ts';
import { LedgerMetrics } from './metrics/ledger-metrics.ts';
import { paymentServices } from './payment-services.ts';
import { Reflection } from './reflection.ts';
import { createServer, SERVICES } from './server.ts';
import { stopServing } from './shutdown.ts';

const config = orExit(() => loadApiConfig(process.env));
const log = createLog(config.LOG_LEVEL, { process: 'api', pid: process.pid });
process.on('uncaughtException', (error, origin) => {
  log.fatal({ err: error, origin }, 'uncaught exception');
  process.exit(1);
});

const tracing = await startTracing(
  orExit(() => loadTracing(process.env, 'payment-ledger-api')),
  log,
);
const registry = processRegistry();

const unprotected = listensUnprotected(config);
if (unprotected !== undefined) log.warn(unprotected);
const watch = { everyMs: config.FILE_RELOAD_MS, log };
const credentials = await serverCredentials(tlsSettings(config), watch).catch(leaveIfUnreadable);

const pools = apiPools(
  {
    connectionString: config.DATABASE_URL,
    onIdleError: (error) => log.warn({ err: error }, 'Postgres closed an idle connection'),
  },
  { payments: config.DATABASE_POOL_SIZE, reads: config.READ_POOL_SIZE },
);
const databaseChecks = startUpChecks(pools.health, {
  leastPrivilege: config.REQUIRE_LEAST_PRIVILEGE === '1',
  report: { warn: (message) => log.warn(message), fatal: leave },
});
await checkDatabase();
await Promise.all([openKept(pools.payments), openKept(pools.reads)]);
const redis = connectRedis(redisAddress(config), log);

const shards = shardCount(pools.payments);
const unitOfWork = new PostgresUnitOfWork(pools.payments, shards);
const outboxHint = new RedisOutboxHint(redis, registry);
const ledgerMetrics = new LedgerMetrics(registry);
const transaction = ledgerMetrics.measured(paymentTransaction(unitOfWork, outboxHint));
const groupCommit = new GroupCommit(
  tracing ? tracedTransaction(transaction, tracing.tracer) : transaction,
  { maxBatch: config.GROUP_COMMIT_MAX_BATCH, maxQueue: config.GROUP_COMMIT_MAX_QUEUE },
  ledgerMetrics.waited,
);

const ledger = postgresLedger(pools.reads);
const admission = admissions({
  connections: config.READ_POOL_SIZE,
  maxQueuedReads: config.READ_MAX_QUEUE,
  maxQueuedOpenings: config.OPEN_ACCOUNT_MAX_QUEUE,
});
const decisions = limiterDecisions(registry);
const onOwnBuckets = limiterOutage(log);
const customerBucket = { capacity: config.RATE_LIMIT_CAPACITY, refillPerSecond: config.RATE_LIMIT_REFILL_PER_SECOND };
const externalBucket = externalLimit(config);
const limiter = new LimitByAccountType(
  new RedisTokenBuckets(redis, customerBucket, decisions, onOwnBuckets),
  externalBucket && new RedisTokenBuckets(redis, externalBucket, decisions, onOwnBuckets, 'external'),
  new AccountTypes(ledger),
);
const callerBucket = callerLimit(config);
const callerLimiter = callerBucket && new RedisTokenBuckets(redis, callerBucket, decisions, onOwnBuckets, 'caller');
const access = await openAccess(accessSettings(config), callerLimiter, registry, watch).catch(leaveIfUnreadable);
const answerBytes = config.GRPC_MAX_RESPONSE_BYTES;
const services = paymentServices(groupCommit, limiter, ledger, admission, registry, expiryOutage(log), answerBytes);
const { newId, sweeper, ...paymentCalls } = services;
const accounts = new Accounts(ledger, admission.reads);
const accountLedger = postgresAccountLedger(pools.reads, shards);
const accountChanges = new AccountChanges(accountLedger, admission.openings, outboxHint, newId);
const reads = new Reads(postgresListings(pools.reads, answerBytes), admission.lists);
ledgerMetrics.watch(groupCommit, admission);
poolGauges(registry, { ...pools });

const outage = databaseOutage(log);
const health = new Health({
  services: SERVICES,
  probe: async () => {
    await databaseChecks();
    await probeWritable(pools.health);
    outage.succeeded();
  },
  log,
});
const reflection = config.REFLECTION === 'on' ? new Reflection() : undefined;
const limits = connectionLimits(config);
const counted = {
  ...paymentCalls,
  accountChanges: new AccountMetrics(registry).counted(accountChanges),
};
const instruments = { metrics: new CallMetrics(registry), callLog: new CallLog(log, outage), tracer: tracing?.tracer };
const server = createServer({ ...counted, ...instruments, access, accounts, reads, health, reflection, limits });
const metricsServer = await startMetricsServer({
  host: config.METRICS_HOST,
  port: config.METRICS_PORT,
  registry,
  healthy: () => undefined,
  ready: () =>
    health.serving ? undefined : 'the database does not answer or takes no writes, or the process is stopping',
});
const { GRPC_HOST: host, GRPC_PORT: port } = config;
const listener = await listen(server, { host, port, credentials, maxConnections: limits.maxConnections, log });
await health.start();
sweeper.start();

onStopSignal(process, log, () => void stop());
log.info({ address: listener.address, metricsAddress: metricsServer.address }, 'api ready');

/** A file that is no good is the operator's to mend: a line that names it says more than a stack. */
function leaveIfUnreadable(error: unknown): never {
  if (!(error instanceof AccessFileError)) throw error;
  leave(error.message);
}

/** A database that cannot be looked at yet is examined by the probe that first reaches it. */
async function checkDatabase(): Promise<void> {
  try {
    await databaseChecks();
  } catch (error) {
    if (config.REQUIRE_LEAST_PRIVILEGE === '1') {
      log.fatal(
        { err: error },
        'what the database role may do cannot be looked up, and REQUIRE_LEAST_PRIVILEGE is set',
      );
      process.exit(1);
    }
    log.warn({ err: error }, 'the database cannot be examined yet');
  }
}

function leave(message: string): never {
  log.fatal(message);
  process.exit(1);
}

/** From the outside in, so that nothing loses what it still needs: calls, transactions, connections. */
async function stop(): Promise<void> {
  const stopBy = performance.now() + config.SHUTDOWN_DRAIN_MS + config.SHUTDOWN_GRACE_MS;
  const times = { drainMs: config.SHUTDOWN_DRAIN_MS, graceMs: config.SHUTDOWN_GRACE_MS };
  const inTime = await stopServing(server, { listener, health, reflection }, times);
  const committed = Promise.all([sweeper.stop(), groupCommit.close()]);
  if (!inTime) {
    log.warn('calls took longer than SHUTDOWN_GRACE_MS and will be cut off');
    groupCommit.abandonQueue();
  }
  await committed;
  redis.disconnect();
  await Promise.all([...Object.values(pools).map((pool: pg.Pool) => pool.end()), metricsServer.close()]);
  await tracing?.stop(Math.max(0, stopBy - performance.now()));
  log.info('api stopped');
  // Cuts off the calls that were not in time: their connections keep the process alive.
  process.exit();
}
