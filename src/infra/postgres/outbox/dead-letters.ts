import type pg from 'pg';
import { ulidToUuid, uuidToUlid } from '../../../app/ulid.ts';
import type { DeadLetter, DeadLetters } from '../../../relay/ports.ts';
import { inTransaction } from '../transaction.ts';

/** The dead letters in Postgres. */
export function postgresDeadLetters(pool: pg.Pool): DeadLetters {
  return {
    list: (limit) => list(pool, limit),
    redrive: (eventId) => release(pool, eventId, REDRIVE),
    discard: (eventId) => release(pool, eventId, DISCARD),
  };
}

const SELECT = `
  select letter.id, letter.shard, letter.aggregateid as key, letter.type, letter.payload::text as payload,
         letter.reason, letter.created_at, letter.dead_at,
         (select count(*) from outbox_blocked blocked
          where blocked.shard = letter.shard and blocked.aggregateid = letter.aggregateid)::int as blocked
  from outbox_dead_letters letter`;

interface Row {
  id: string;
  shard: number;
  key: string;
  type: string;
  payload: string;
  reason: string;
  created_at: Date;
  dead_at: Date;
  blocked: number;
}

async function list(pool: pg.Pool, limit: number): Promise<DeadLetter[]> {
  const { rows } = await pool.query<Row>(`${SELECT} order by letter.dead_at limit $1`, [limit]);
  return rows.map(toDeadLetter);
}

const COLUMNS = 'shard, position, id, aggregatetype, aggregateid, type, payload, headers, created_at';

// The dead letter goes, and so does what is blocked behind it.
const RELEASE = `
  with letter as (
    delete from outbox_dead_letters where id = $1 returning *
  ), released as (
    delete from outbox_blocked blocked using letter
    where blocked.shard = letter.shard and blocked.aggregateid = letter.aggregateid
    returning blocked.*
  )`;

// Positions are kept: the key's events are read again in the order they were written.
const REDRIVE = `${RELEASE}
  insert into outbox (${COLUMNS}) overriding system value
  select ${COLUMNS} from letter union all select ${COLUMNS} from released`;

// Remembered, so that an audit of events does not miss it.
const DISCARD = `${RELEASE}, given_up as (
    insert into outbox_discarded (id) select id from letter on conflict (id) do nothing
  )
  insert into outbox (${COLUMNS}) overriding system value
  select ${COLUMNS} from released`;

/**
 * The dead letter is locked by a statement of its own: the relay locks it too while it
 * sets events aside, so what comes after the lock sees every event that was.
 */
function release(pool: pg.Pool, eventId: string, statement: string): Promise<DeadLetter | undefined> {
  const id = ulidToUuid(eventId);
  return inTransaction(pool, 'begin', async (transaction) => {
    await transaction.query('select from outbox_dead_letters where id = $1 for update', [id]);
    const { rows } = await transaction.query<Row>(`${SELECT} where letter.id = $1`, [id]);
    if (rows[0] === undefined) return undefined;
    await transaction.query(statement, [id]);
    return toDeadLetter(rows[0]);
  });
}

function toDeadLetter({ id, created_at, dead_at, ...same }: Row): DeadLetter {
  return { ...same, eventId: uuidToUlid(id), createdAt: created_at, deadAt: dead_at };
}
