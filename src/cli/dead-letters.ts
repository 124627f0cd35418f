// Lists, redrives and discards events that Kafka rejected for good.
import { parseArgs } from 'node:util';
import { isValid } from 'ulid';
import { postgresDeadLetters } from '../infra/postgres/outbox/dead-letters.ts';
import { createPool } from '../infra/postgres/pool.ts';
import type { DeadLetter } from '../relay/ports.ts';

const HELP = `Events that Kafka rejected for good, and the later events of their keys that wait behind them.

  npm run dead-letters -- list               shows them, oldest first
  npm run dead-letters -- redrive EVENT_ID   publishes the event again, then those behind it, in order
  npm run dead-letters -- discard EVENT_ID   gives the event up, and publishes those behind it

Redrive once what Kafka rejected is put right, such as max.message.bytes of the topic. After a discard
consumers see a gap in the versions of both accounts; the discarded event is printed.

DATABASE_URL names the database. Ends with 1 if there is no such dead letter, with 2 on a usage error.
`;

/** More at once are not for people to read. */
const LIST_LIMIT = 200;

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const [action, eventId] = positionals;
  const connectionString = process.env['DATABASE_URL'];
  if (!connectionString) return misuse('DATABASE_URL is not set: postgres://user:password@host:port/database');
  if (action !== 'list' && action !== 'redrive' && action !== 'discard') return misuse('list, redrive or discard?');
  if (action !== 'list' && !isValid(eventId ?? '')) return misuse(`${action} which one? EVENT_ID is a ULID.`);

  const pool = createPool({
    connectionString,
    max: 1,
    applicationName: 'payment-ledger-dead-letters',
    queryTimeoutMs: 60_000,
    onIdleError: (error) => console.error(error.message),
  });
  try {
    const deadLetters = postgresDeadLetters(pool);
    if (action === 'list') return show(await deadLetters.list(LIST_LIMIT));
    return report(action, eventId!, await deadLetters[action](eventId!));
  } finally {
    await pool.end();
  }
}

function misuse(message: string): number {
  console.error(`${message}\n\n${HELP}`);
  return 2;
}

function show(letters: readonly DeadLetter[]): number {
  if (letters.length === 0) console.log('no dead letters');
  for (const letter of letters) {
    console.log(`${letter.eventId}  ${letter.type}  key ${letter.key}  partition ${letter.shard}`);
    console.log(`  rejected ${letter.deadAt.toISOString()}: ${letter.reason}`);
    console.log(`  ${letter.blocked} later events of the key are blocked`);
  }
  if (letters.length === LIST_LIMIT) console.log(`these are the oldest ${LIST_LIMIT}`);
  return 0;
}

function report(action: 'redrive' | 'discard', eventId: string, letter: DeadLetter | undefined): number {
  if (letter === undefined) {
    console.error(`there is no dead letter ${eventId}`);
    return 1;
  }
  const behind = `${letter.blocked} blocked events of key ${letter.key} go on`;
  if (action === 'redrive') console.log(`${eventId} will be published again, and ${behind}`);
  else console.log(`${eventId} is given up, and ${behind}. It was:\n${letter.payload}`);
  return 0;
}
