// Lists, redrives and discards events that Kafka rejected for good.
import { isUlid } from '../app/ulid.ts';
import { loadCommandConfig } from '../config.ts';
import { postgresDeadLetters } from '../infra/postgres/outbox/dead-letters.ts';
import { createPool } from '../infra/postgres/pool.ts';
import type { DeadLetter } from '../relay/ports.ts';
import { argumentsFrom, run, settingsFrom, usageError } from './command.ts';

const HELP = `Lists, redrives or discards events that Kafka rejected for good. They block the later events of their keys.

Usage:
  npm run dead-letters -- list               shows them, oldest first
  npm run dead-letters -- redrive EVENT_ID   publishes the event again, then those that it blocked, in order
  npm run dead-letters -- discard EVENT_ID   gives the event up, and publishes those that it blocked
  npm run dead-letters -- --help             shows this

In the image, node src/cli/dead-letters.ts stands for npm run dead-letters --.

Redrive once what Kafka rejected is put right, such as max.message.bytes of the topic. After a discard
consumers see a gap in the versions of both accounts; the discarded event is printed.

Example:
  npm run dead-letters -- redrive 01M85Q1GYJ02G9N66B2A2P3Z7A

Environment:
  DATABASE_URL   the database, as the application's role
Further variables, for files with secrets and for TLS, are in .env.example.

Exit codes: 0 done, 1 there is no such dead letter or the command failed, 2 usage error.
`;

/** More at once are not for people to read. */
const LIST_LIMIT = 200;

await run(main);

async function main(): Promise<number> {
  const given = argumentsFrom({ allowPositionals: true, options: { help: { type: 'boolean', short: 'h' } } });
  if (typeof given === 'string') return misuse(given);
  const { values, positionals } = given;
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const [action, givenId, ...more] = positionals;
  const eventId = givenId?.toUpperCase();
  const config = settingsFrom(loadCommandConfig);
  if (typeof config === 'string') return misuse(config);
  if (action !== 'list' && action !== 'redrive' && action !== 'discard') return misuse('list, redrive or discard?');
  if (action !== 'list' && !isUlid(eventId ?? '')) return misuse(`${action} which one? EVENT_ID is a ULID.`);
  if (more.length > 0 || (action === 'list' && eventId !== undefined)) return misuse('There are too many arguments.');

  const pool = createPool({
    connectionString: config.DATABASE_URL,
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
  return usageError(message, HELP);
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
