import { monotonicFactory, ulidToUUID } from 'ulid';
import { shardOf } from '../../src/app/domain/shard.ts';
import type { PendingEvent } from '../../src/relay/ports.ts';
import type { BenchDatabase } from '../database.ts';

/** As many as the topic has partitions. */
export const SHARDS = 16;
/** Payers' accounts. */
export const KEYS: readonly string[] = Array.from({ length: 200 }, (_, n) => `bench-${String(n).padStart(6, '0')}`);

const TYPE = 'payment.authorized.v1';
const newId = monotonicFactory();

/** An event like those of the API, of which n counts. */
export function eventOf(n: number): PendingEvent {
  const key = KEYS[n % KEYS.length]!;
  const createdAt = new Date();
  const eventId = newId();
  const payload = {
    paymentId: eventId,
    payerAccountId: key,
    payeeAccountId: KEYS[(n + 7) % KEYS.length],
    amountCents: String(1 + (n % 100_000)),
    currency: 'EUR',
    description: `Invoice ${n}`,
    authorizedAt: createdAt.toISOString(),
    payer: { balanceCents: String(1_000_000_000 - n), version: String(n + 1) },
    payee: { balanceCents: String(1_000_000_000 + n), version: String(n + 2) },
  };
  return {
    shard: shardOf(key, SHARDS),
    position: BigInt(n),
    eventId,
    uuid: ulidToUUID(eventId),
    key,
    type: TYPE,
    subject: eventId,
    payload: JSON.stringify(payload),
    headers: { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' },
    createdAt,
    blocked: false,
  };
}

const APPEND = `
  insert into outbox (shard, id, aggregatetype, aggregateid, type, payload, headers, created_at)
  select shard, id, 'payment', key, '${TYPE}', payload, headers, now()
  from unnest($1::smallint[], $2::uuid[], $3::text[], $4::jsonb[], $5::jsonb[]) with ordinality
    as event (shard, id, key, payload, headers, n)
  order by n`;

/** Writes events as the API does, in one statement. */
export async function append(
  { client }: Pick<BenchDatabase, 'client'>,
  events: readonly PendingEvent[],
): Promise<void> {
  await client.query({
    name: 'append',
    text: APPEND,
    values: [
      events.map(({ shard }) => shard),
      events.map(({ eventId }) => ulidToUUID(eventId)),
      events.map(({ key }) => key),
      events.map(({ payload }) => payload),
      events.map(({ headers }) => JSON.stringify(headers)),
    ],
  });
}

/** Rows in one statement of fill; a multiple of the keys, so that each has as many. */
const CHUNK = 2_000;

/** Adds events that become visible all at once, when this resolves. */
export async function fill(database: BenchDatabase, count: number): Promise<void> {
  const { client } = database;
  await client.query('begin');
  for (let done = 0; done < count; done += CHUNK) {
    await append(
      database,
      Array.from({ length: Math.min(CHUNK, count - done) }, (_, n) => eventOf(done + n)),
    );
  }
  await client.query('commit');
}

export async function countPending({ client }: BenchDatabase): Promise<number> {
  const { rows } = await client.query<{ pending: number }>('select count(*)::int as pending from outbox');
  return rows[0]!.pending;
}

export async function isEmpty({ client }: BenchDatabase): Promise<boolean> {
  const { rowCount } = await client.query('select from outbox limit 1');
  return rowCount === 0;
}
