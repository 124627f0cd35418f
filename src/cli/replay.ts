// Sends the events of past payments again.
import { parseArgs } from 'node:util';
import { type ReplayRange, replay } from '../app/replay.ts';
import { postgresPaymentHistory, postgresReplayOutbox } from '../infra/postgres/outbox/replay.ts';
import { createPool } from '../infra/postgres/pool.ts';

const HELP = `Sends the events of past payments again, made from the ledger, with their original ce_id and the header
replayed: true. The relay publishes them behind what waits already.

  npm run replay -- --from 2026-11-01T00:00:00Z --to 2026-11-02T00:00:00Z   payments that came in between
  npm run replay -- --account acc-001      payments that moved the account's money, in the order they did

DATABASE_URL names the database. Safe to stop and to run again: consumers drop by ce_id what they have seen.
`;

process.exitCode = await main();

async function main(): Promise<number> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: { from: text, to: text, account: text, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const range = toRange(values);
  const connectionString = process.env['DATABASE_URL'];
  if (typeof range === 'string' || !connectionString) {
    console.error(`${typeof range === 'string' ? range : 'DATABASE_URL is not set'}\n\n${HELP}`);
    return 2;
  }
  const pool = createPool({
    connectionString,
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
