// Sends the events of past payments again.
import { type ReplayRange, replay } from '../app/replay.ts';
import { loadCommandConfig } from '../config.ts';
import { postgresPaymentHistory, postgresReplayOutbox } from '../infra/postgres/outbox/replay.ts';
import { createPool } from '../infra/postgres/pool.ts';
import { argumentsFrom, run, settingsFrom, usageError } from './command.ts';

const HELP = `Sends the events of past payments again, made from the ledger, with their original ce_id and the header
ce_replayed: true. The relay publishes them behind what is in the outbox already. Safe to stop and to run again:
consumers drop by ce_id what they have seen.

Usage:
  npm run replay -- --from TIME --to TIME
  npm run replay -- --account ACCOUNT_ID
  npm run replay -- --help

In the image, node src/cli/replay.ts stands for npm run replay --.

Options:
  --from TIME, --to TIME   payments that came in between, as RFC 3339; those at the second are not among them
  --account ACCOUNT_ID     payments that moved the account's money, in the order they did

Examples:
  npm run replay -- --from 2026-11-01T00:00:00Z --to 2026-11-02T00:00:00Z
  npm run replay -- --account acc-001

Environment:
  DATABASE_URL   the database, as the application's role
Further variables, for files with secrets and for TLS, are in .env.example.

Exit codes: 0 the events are in the outbox, 1 the command failed, 2 usage error.
`;

await run(main);

async function main(): Promise<number> {
  const text = { type: 'string' } as const;
  const given = argumentsFrom({
    options: { from: text, to: text, account: text, help: { type: 'boolean', short: 'h' } },
  });
  if (typeof given === 'string') return misuse(given);
  const { values } = given;
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const range = toRange(values);
  if (typeof range === 'string') return misuse(range);
  const config = settingsFrom(loadCommandConfig);
  if (typeof config === 'string') return misuse(config);
  const pool = createPool({
    connectionString: config.DATABASE_URL,
    max: 1,
    applicationName: 'payment-ledger-replay',
    queryTimeoutMs: 60_000,
    onIdleError: (error) => console.error(error.message),
  });
  try {
    const count = await replay(postgresPaymentHistory(pool), postgresReplayOutbox(pool), range, (replayed) => {
      if (replayed % 10_000 === 0 && replayed > 0) console.log(`${replayed} events so far`);
    });
    console.log(`${count} events are in the outbox to be sent again`);
    return 0;
  } finally {
    await pool.end();
  }
}

function misuse(message: string): number {
  return usageError(message, HELP);
}

/** What was asked for, or what is wrong with it. */
function toRange({ from, to, account }: { from?: string; to?: string; account?: string }): ReplayRange | string {
  if (account !== undefined) {
    return from === undefined && to === undefined
      ? { kind: 'ACCOUNT', accountId: account }
      : 'Either times or an account.';
  }
  const [begin, end] = [new Date(from ?? ''), new Date(to ?? '')];
  if (Number.isNaN(begin.getTime()) || Number.isNaN(end.getTime())) return '--from and --to are times as RFC 3339.';
  return begin < end ? { kind: 'TIME', from: begin, to: end } : '--from must be before --to.';
}
