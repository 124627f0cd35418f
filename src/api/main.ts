import '../heap.ts';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { AccountTypes } from '../app/account-types.ts';
import { Admission } from '../app/admission.ts';
import { paymentTransaction } from '../app/authorize-payments.ts';
import { GroupCommit } from '../app/group-commit.ts';
import { LimitByAccountType } from '../app/limit-by-account-type.ts';
import { Accounts, Payments } from '../app/payment-service.ts';
import { tracedTransaction } from '../app/traced-transaction.ts';
import { monotonicUlids } from '../app/ulid.ts';
import { accessSettings, callerLimit, listensUnprotected, tlsSettings } from '../config/access.ts';
import { connectionLimits } from '../config/connections.ts';
import { orExit } from '../config/or-exit.ts';
import { loadTracing } from '../config/tracing.ts';
import { externalLimit, loadApiConfig, redisAddress } from '../config.ts';
import { createLog } from '../infra/log.ts';
import { startMetricsServer } from '../infra/metrics-server.ts';
import { databaseOutage, limiterOutage } from '../infra/outages.ts';
import { shardCount } from '../infra/postgres/outbox/shard-count.ts';
import { postgresLedger } from '../infra/postgres/payments/ledger.ts';
import { PostgresUnitOfWork } from '../infra/postgres/payments/unit-of-work.ts';
import { createPool, openKept } from '../infra/postgres/pool.ts';
import { probeWritable } from '../infra/postgres/probe.ts';
import { startUpChecks } from '../infra/postgres/start-up-checks.ts';
import { connectRedis } from '../infra/redis/connection.ts';
import { RedisOutboxHint } from '../infra/redis/outbox-hint.ts';
import { limiterFallbacks, RedisTokenBuckets } from '../infra/redis/token-bucket.ts';
import { onStopSignal } from '../infra/stop-signal.ts';
import { startTracing } from '../infra/tracing/start-tracing.ts';
import { openAccess } from './access/open-access.ts';
import { serverCredentials } from './access/tls.ts';
import { AccessFileError } from './access/watched-files.ts';
import { CallLog } from './call-log.ts';
import { CallMetrics } from './call-metrics.ts';
import { Health } from './health.ts';
import { listen } from './listen.ts';
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
const registry = new Registry();
collectDefaultMetrics({ register: registry });

const unprotected = listensUnprotected(config);
if (unprotected !== undefined) log.warn(unprotected);
const watch = { everyMs: config.FILE_RELOAD_MS, log };
const credentials = await serverCredentials(tlsSettings(config), watch).catch(leaveIfUnreadable);

const postgres = {
  connectionString: config.DATABASE_URL,
  applicationName: 'payment-ledger-api',
  onIdleError: (error: Error) => log.warn({ err: error }, 'Postgres closed an idle connection'),
};
const patience = {
  // No payment takes seconds: one that does waits for somebody who is stuck, and its caller is better told.
  serverTimeouts: { statement: 5_000, lock: 1_000, idleInTransaction: 5_000 },
  // Longer, for what Postgres ends by itself leaves nothing behind there.
  queryTimeoutMs: 10_000,
};
const pool = createPool({ ...postgres, ...patience, max: config.DATABASE_POOL_SIZE, keepOpen: 2 });
// Whatever else is asked for in whatever number, payments have their connections to themselves.
const readPool = createPool({ ...postgres, ...patience, max: config.READ_POOL_SIZE, keepOpen: config.READ_POOL_SIZE });
// A connection of its own for health: a pool that is busy is not a database that is gone.
const probePool = createPool({ ...postgres, max: 1, queryTimeoutMs: 1_000 });
const databaseChecks = startUpChecks(probePool, {
  leastPrivilege: config.REQUIRE_LEAST_PRIVILEGE === '1',
  report: { warn: (message) => log.warn(message), fatal: leave },
});
await checkDatabase();
await Promise.all([openKept(pool), openKept(readPool)]);
const redis = connectRedis(redisAddress(config), log);

const unitOfWork = new PostgresUnitOfWork(pool, shardCount(pool));
const transaction = paymentTransaction(unitOfWork, new RedisOutboxHint(redis, registry));
const groupCommit = new GroupCommit(tracing ? tracedTransaction(transaction, tracing.tracer) : transaction, {
  maxBatch: config.GROUP_COMMIT_MAX_BATCH,
  maxQueue: config.GROUP_COMMIT_MAX_QUEUE,
});

const ledger = postgresLedger(readPool);
const admission = {
  // As many as the two statements take that read payments at a time.
  reads: new Admission({ maxInFlight: 512, maxQueue: config.READ_MAX_QUEUE }),
  // Each takes a connection, and reads must not wait for all of them.
  openings: new Admission({
    maxInFlight: Math.max(1, Math.floor(config.READ_POOL_SIZE / 2)),
    maxQueue: config.OPEN_ACCOUNT_MAX_QUEUE,
  }),
};
const fallbacks = limiterFallbacks(registry);
const onOwnBuckets = limiterOutage(log);
const customerBucket = { capacity: config.RATE_LIMIT_CAPACITY, refillPerSecond: config.RATE_LIMIT_REFILL_PER_SECOND };
const externalBucket = externalLimit(config);
const limiter = new LimitByAccountType(
  new RedisTokenBuckets(redis, customerBucket, fallbacks, onOwnBuckets),
  externalBucket && new RedisTokenBuckets(redis, externalBucket, fallbacks, onOwnBuckets),
  new AccountTypes(ledger),
);
const callerBucket = callerLimit(config);
const callerLimiter =
  callerBucket && new RedisTokenBuckets(redis, callerBucket, fallbacks, onOwnBuckets, 'payment-ledger:caller-bucket:');
const access = await openAccess(accessSettings(config), callerLimiter, registry, watch).catch(leaveIfUnreadable);
// Monotonic, so that ids made within one millisecond are in order too.
const payments = new Payments(groupCommit, limiter, ledger, admission.reads, monotonicUlids());
const accounts = new Accounts(ledger, admission);

const outage = databaseOutage(log);
const health = new Health({
  services: SERVICES,
  probe: async () => {
    await databaseChecks();
    await probeWritable(probePool);
    outage.succeeded();
  },
  log,
});
const reflection = config.REFLECTION === 'on' ? new Reflection() : undefined;
const metrics = new CallMetrics(registry);
const limits = connectionLimits(config);
const callLog = new CallLog(log, outage);
const tracer = tracing?.tracer;
const server = createServer({ payments, accounts, health, reflection, limits, metrics, callLog, access, tracer });
const metricsServer = await startMetricsServer({
  host: config.METRICS_HOST,
  port: config.METRICS_PORT,
  registry,
  healthy: () => undefined,
  ready: () =>
    health.serving ? undefined : 'the database does not answer or takes no writes, or the process is stopping',
});
const listener = await listen(server, {
  host: config.GRPC_HOST,
  port: config.GRPC_PORT,
  credentials,
  maxConnections: limits.maxConnections,
  log,
});
await health.start();

onStopSignal(process, log, () => void stop());
log.info({ address: listener.address, metricsAddress: metricsServer.address }, 'api ready');

/** A file that is no good is the operator's to mend: a line that names it says more than a stack. */
function leaveIfUnreadable(error: unknown): never {
  if (!(error instanceof AccessFileError)) throw error;
  log.fatal(error.message);
  process.exit(1);
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
  const committed = groupCommit.close();
  if (!inTime) {
    log.warn('calls took longer than SHUTDOWN_GRACE_MS and will be cut off');
    groupCommit.abandonQueue();
  }
  await committed;
  redis.disconnect();
  await Promise.all([pool.end(), readPool.end(), probePool.end(), metricsServer.close()]);
  await tracing?.stop(Math.max(0, stopBy - performance.now()));
  log.info('api stopped');
  // Cuts off the calls that were not in time: their connections keep the process alive.
  process.exit();
}
