import { setTimeout as sleep } from 'node:timers/promises';
import { status as grpcStatus, type ServiceError } from '@grpc/grpc-js';
import { Redis } from 'ioredis';
import { Kafka, logLevel } from 'kafkajs';
import pg from 'pg';
import { AccountType } from '../../src/gen/payment/v1/account.ts';
import { PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import { withAdmin } from '../../src/infra/kafka/client.ts';
import type { LedgerClient } from '../client.ts';
import type { SeedAccount } from './seed-file.ts';

export interface Servers {
  /** As the owner of the tables. */
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly kafkaBrokers: string;
  readonly topic: string;
}

/** What a running relay relies on: the migrations, and who owns which shard. */
const KEPT_TABLES = ['schema_migrations', 'outbox_shards', 'relay_workers'];
/** How long the events that are pending may take to be published. */
const PUBLISHED_WITHIN_MS = 60_000;
/** Of what fails because others use the ledger at the same time. */
const ATTEMPTS = 20;
const RETRY_AFTER_MS = 500;

/** Opens the accounts and pays into them from EXTERNAL accounts, until their events are on Kafka. */
export async function seedBooks(
  client: LedgerClient,
  accounts: readonly SeedAccount[],
  { databaseUrl }: Servers,
): Promise<void> {
  for (const { accountId, currency, type, overdraftLimitCents, balanceCents } of accounts) {
    await patiently(accountId, () => client.open(accountId, { currency, type, overdraftLimitCents }));
    if (balanceCents === 0n) continue;
    const external = `external-${currency.toLowerCase()}`;
    await patiently(external, () => client.open(external, { currency, type: AccountType.ACCOUNT_TYPE_EXTERNAL }));
    const funding = {
      idempotencyKey: `seed-${accountId}`,
      payerAccountId: external,
      payeeAccountId: accountId,
      amountCents: balanceCents,
      currency,
      description: 'Seed',
    };
    const { status, originalStatus, error } = await patiently(accountId, () => client.authorize(funding));
    // A repeated call finds the payment of the first one.
    const { PAYMENT_STATUS_AUTHORIZED: authorized } = PaymentStatus;
    if (status !== authorized && originalStatus !== authorized) {
      throw new Error(`The seed account ${accountId} could not be funded: ${error?.message ?? `status ${status}`}`);
    }
  }
  await withDatabase(databaseUrl, untilPublished);
}

/** Repeats what is UNAVAILABLE, as right after a reset in the midst of payments, and names the account if it fails. */
async function patiently<T>(accountId: string, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      const { code, message } = error as ServiceError;
      if (code !== grpcStatus.UNAVAILABLE || attempt === ATTEMPTS) {
        throw new Error(`The seed account ${accountId} was rejected: ${message}`);
      }
      await sleep(RETRY_AFTER_MS);
    }
  }
}

/**
 * Takes everything away that was ever paid, opened, limited or published, while API and
 * relay run. Events that are pending are published first, so that none comes afterwards.
 */
export async function emptyBooks({ databaseUrl, redisUrl, kafkaBrokers, topic }: Servers): Promise<void> {
  await withDatabase(databaseUrl, async (database) => {
    await untilPublished(database);
    await truncate(database);
  });
  await emptyBuckets(redisUrl);
  await emptyTopic(kafkaBrokers, topic);
}

async function withDatabase<T>(databaseUrl: string, use: (database: pg.Client) => Promise<T>): Promise<T> {
  const database = new pg.Client({ connectionString: databaseUrl });
  await database.connect();
  try {
    return await use(database);
  } finally {
    await database.end();
  }
}

/**
 * Waits for the events that are pending now; the relay deletes what Kafka has acknowledged. Dead
 * letters and what they block are no longer in the outbox.
 */
async function untilPublished(database: pg.Client): Promise<void> {
  const deadline = Date.now() + PUBLISHED_WITHIN_MS;
  const { rows: last } = await database.query<{ position: string }>(
    'select coalesce(max(position), 0)::text as position from outbox',
  );
  for (;;) {
    const { rows } = await database.query<{ pending: number }>(
      'select count(*)::int as pending from outbox where position <= $1',
      [last[0]!.position],
    );
    const pending = rows[0]!.pending;
    if (pending === 0) return;
    if (Date.now() > deadline) {
      throw new Error(
        `${pending} events were not published within ${PUBLISHED_WITHIN_MS / 1_000} s; see the relay's log`,
      );
    }
    await sleep(20);
  }
}

const DEADLOCK = '40P01';

/** The books reject this by triggers, which the owner can switch off for a transaction. */
async function truncate(database: pg.Client): Promise<void> {
  const { rows } = await database.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
     where schemaname = 'public' and tablename <> all ($1::text[]) order by 1`,
    [KEPT_TABLES],
  );
  const tables = rows.map(({ name }) => name).join(', ');
  for (let attempt = 1; ; attempt++) {
    try {
      await database.query(`begin; set local session_replication_role = replica; truncate ${tables}; commit`);
      return;
    } catch (error) {
      await database.query('rollback');
      // With a job or a payment that is under way; Postgres gave one of the two up.
      if ((error as pg.DatabaseError).code !== DEADLOCK || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Rate limits begin anew. Nothing else that Redis holds is of the books. */
async function emptyBuckets(redisUrl: string): Promise<void> {
  const redis = new Redis(redisUrl, { lazyConnect: true });
  try {
    await redis.connect();
    for await (const keys of redis.scanStream({ match: 'payment-ledger:*bucket:*', count: 1_000 })) {
      if (keys.length > 0) await redis.del(...keys);
    }
  } finally {
    redis.disconnect();
  }
}

async function emptyTopic(brokers: string, topic: string): Promise<void> {
  const kafka = new Kafka({
    brokers: brokers.split(','),
    clientId: 'payment-ledger-tools',
    logLevel: logLevel.NOTHING,
  });
  await withAdmin(kafka, async (admin) => {
    const ends = await admin.fetchTopicOffsets(topic);
    const partitions = ends
      .filter(({ low, high }) => low !== high)
      .map(({ partition, high }) => ({ partition, offset: high }));
    if (partitions.length > 0) await admin.deleteTopicRecords({ topic, partitions });
  });
}
