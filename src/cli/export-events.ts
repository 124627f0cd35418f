import { once } from 'node:events';
import { open } from 'node:fs/promises';
import type pg from 'pg';
import { type PastEvent, recordedEvents } from '../app/replay.ts';
import { kafkaAddress, type loadEventsConfig } from '../config.ts';
import { kafkaClient, withAdmin } from '../infra/kafka/client.ts';
import { postgresHistory } from '../infra/postgres/outbox/account-history.ts';
import { estimatePaymentsSince } from '../infra/postgres/reconciliation/row-estimates.ts';
import { CommandError } from './exit-codes.ts';
import { json } from './output.ts';
import { showProgress } from './progress.ts';
import { silent } from './silent.ts';
import { withPool } from './with-pool.ts';

type Config = ReturnType<typeof loadEventsConfig>;

/** Ids have the clocks of API replicas, which may be ahead of ours. */
const CLOCK_SLACK_MS = 600_000;

interface ExportOptions {
  readonly since?: Date;
  /** A file that there is not yet; stdout if it is left out. */
  readonly output?: string;
}

/**
 * Writes a snapshot of all events and returns how many. The topic's ends are taken
 * before the first row is read: what is not read here was committed, and so sent,
 * after that, and what commits late is on the topic beyond them.
 */
export async function exportEvents(config: Config, { since = new Date(0), output }: ExportOptions): Promise<number> {
  return await withPool(config.DATABASE_URL, 'export', async (pool) => {
    await rejectStandby(pool);
    const partitions = await topicEnds(config);
    const takenAt = new Date();
    const total = await estimatePaymentsSince(pool, since);
    const target = output === undefined ? STDOUT : await newFile(output);
    await write(target, [{ snapshot: { topic: config.KAFKA_TOPIC, takenAt, since, partitions } }]);
    const show = showProgress('events written:', total);
    const range = { kind: 'TIME', from: since, to: new Date(takenAt.getTime() + CLOCK_SLACK_MS) } as const;
    let count = 0;
    for await (const events of recordedEvents(postgresHistory(pool), range)) {
      await write(
        target,
        events.map((event) => structured(event, config.CE_SOURCE)),
      );
      count += events.length;
      show(count);
    }
    await write(target, [{ end: { events: count } }]);
    await target.close();
    return count;
  });
}

/** A standby may lack payments whose events are on the topic before its ends. */
async function rejectStandby(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
  if (rows[0]?.standby)
    throw new CommandError('DATABASE_URL is a standby, which may be behind the topic: name the primary.');
}

function topicEnds(config: Config): Promise<{ partition: number; offset: string }[]> {
  const kafka = kafkaClient({ ...kafkaAddress(config), clientId: 'payment-ledger-export' }, silent);
  return withAdmin(kafka, async (admin) => {
    const offsets = await admin.fetchTopicOffsets(config.KAFKA_TOPIC);
    return offsets
      .map(({ partition, high }) => ({ partition, offset: high }))
      .toSorted((a, b) => a.partition - b.partition);
  });
}

interface Target {
  write(text: string): Promise<void>;
  /** Resolves when all is stored. */
  close(): Promise<void>;
}

const STDOUT: Target = {
  async write(text) {
    if (!process.stdout.write(text)) await once(process.stdout, 'drain');
  },
  close: async () => undefined,
};

/** Throws if there is a file of that name. */
async function newFile(path: string): Promise<Target> {
  const file = await open(path, 'wx');
  return {
    write: (text) => file.appendFile(text),
    async close() {
      await file.sync();
      await file.close();
    },
  };
}

async function write(target: Target, lines: readonly object[]): Promise<void> {
  await target.write(lines.map((line) => `${json(line)}\n`).join(''));
}

/** CloudEvents 1.0 in JSON, with the extension that says what to partition by. */
function structured({ eventId, type, key, subject, createdAt, payload }: PastEvent, source: string): object {
  return {
    specversion: '1.0',
    id: eventId,
    source,
    type,
    subject,
    time: createdAt,
    partitionkey: key,
    datacontenttype: 'application/json',
    data: payload,
  };
}
