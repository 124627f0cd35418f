import type pg from 'pg';
import { type ReplayOutbox, type ReplayRange, replay } from '../app/replay.ts';
import { kafkaAddress, type loadEventsConfig } from '../config.ts';
import { kafkaClient, withAdmin } from '../infra/kafka/client.ts';
import { topicForReplay } from '../infra/kafka/replay-topic.ts';
import { postgresHistory } from '../infra/postgres/outbox/account-history.ts';
import { postgresReplayOutbox } from '../infra/postgres/outbox/replay.ts';
import { findAccounts } from '../infra/postgres/payments/find-accounts.ts';
import { CommandError, ExitCode } from './exit-codes.ts';
import { silent } from './silent.ts';

const ACK_TIMEOUT_MS = 10_000;
const REBUILD_AFTER_MS = 10_000;

/** Puts the events into the outbox and returns how many. Throws if there is no such account or payment. */
export function replayToOutbox(pool: pg.Pool, range: ReplayRange): Promise<number> {
  return replayTo(pool, range, postgresReplayOutbox(pool));
}

/** Sends the events to another topic and returns how many. Throws if there is no such topic, account or payment. */
export async function replayToTopic(
  pool: pg.Pool,
  range: ReplayRange,
  config: ReturnType<typeof loadEventsConfig>,
  topic: string,
): Promise<number> {
  const connection = { ...kafkaAddress(config), clientId: 'payment-ledger-replay' };
  const partitions = await withAdmin(kafkaClient(connection, silent), async (admin) => {
    const exists = (await admin.listTopics()).includes(topic);
    if (!exists) throw new CommandError(`There is no topic ${topic}: create it first.`, ExitCode.NOT_FOUND);
    return (await admin.fetchTopicOffsets(topic)).length;
  });
  // Loaded only here, as it takes a while.
  const { KafkaPublisher } = await import('../infra/kafka/publisher.ts');
  const settings = { topic, source: config.CE_SOURCE, ackTimeoutMs: ACK_TIMEOUT_MS, rebuildAfterMs: REBUILD_AFTER_MS };
  const publisher = new KafkaPublisher(connection, settings, silent);
  try {
    return await replayTo(pool, range, topicForReplay(publisher, partitions));
  } finally {
    await publisher.close();
  }
}

async function replayTo(pool: pg.Pool, range: ReplayRange, target: ReplayOutbox): Promise<number> {
  if (range.kind === 'ACCOUNT' && !(await findAccounts(pool, [range.accountId])).has(range.accountId)) {
    throw new CommandError(`There is no account ${range.accountId}.`, ExitCode.NOT_FOUND);
  }
  const count = await replay(postgresHistory(pool), target, range, (replayed) => {
    if (replayed % 10_000 === 0) console.error(`${replayed} events so far`);
  });
  if (range.kind === 'PAYMENT' && count === 0) {
    throw new CommandError(`There is no payment ${range.paymentId}.`, ExitCode.NOT_FOUND);
  }
  return count;
}
