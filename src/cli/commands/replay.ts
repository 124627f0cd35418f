import type { Command } from 'commander';
import type pg from 'pg';
import { type ReplayRange, replay } from '../../app/replay.ts';
import { loadCommandConfig } from '../../config.ts';
import { postgresPaymentHistory, postgresReplayOutbox } from '../../infra/postgres/outbox/replay.ts';
import { findAccounts } from '../../infra/postgres/payments/find-accounts.ts';
import { CommandError, ExitCode } from '../exit-codes.ts';
import { DATABASE, withUsage } from '../help.ts';
import { parseId, parseTime, settingsFor } from '../settings.ts';
import { withPool } from '../with-pool.ts';

const ABOUT = `Sends the events of past payments again, made from the ledger, with their original ce_id and the header
ce_replayed: true. The relay publishes them behind what is in the outbox already. Safe to stop and to run again:
consumers drop by ce_id what they have seen.`;

interface Options {
  readonly from?: Date;
  readonly to?: Date;
  readonly account?: string;
  readonly payment?: string;
}

export function addReplay(program: Command, end: (exitCode: ExitCode) => void): void {
  const command = program.command('replay').summary('send events of past payments again').description(ABOUT);
  command
    .option('--from <time>', 'payments that came in at this time or later, as RFC 3339', parseTime)
    .option('--to <time>', 'with --from: and before this time', parseTime)
    .option('--account <account-id>', "payments that moved the account's money, in the order they did")
    .option('--payment <payment-id>', 'one payment', parseId);
  withUsage(command, {
    examples: [
      'ledger replay --from 2026-11-01T00:00:00Z --to 2026-11-02T00:00:00Z',
      'ledger replay --account acc-001',
      'ledger replay --payment 01M85Q3TTE820EZ9PCVSPH2JRN',
    ],
    environment: { DATABASE_URL: `${DATABASE}, as the application's role` },
    exitCodes: {
      0: 'the events are in the outbox',
      1: 'the command failed',
      3: 'there is no such account or payment',
    },
  }).action(async (options: Options) => {
    const range = rangeOf(command, options);
    const config = settingsFor(command, loadCommandConfig);
    const count = await withPool(config.DATABASE_URL, 'replay', (pool) => toOutbox(pool, range));
    console.log(`${count} events are in the outbox to be sent again`);
    end(ExitCode.DONE);
  });
}

function rangeOf(command: Command, { from, to, account, payment }: Options): ReplayRange {
  const misuse = (message: string) => command.error(`error: ${message}`, { exitCode: ExitCode.USAGE });
  const times = from !== undefined || to !== undefined;
  if (Number(times) + Number(account !== undefined) + Number(payment !== undefined) !== 1) {
    return misuse('say what to send: --from and --to, or --account, or --payment');
  }
  if (account !== undefined) return { kind: 'ACCOUNT', accountId: account };
  if (payment !== undefined) return { kind: 'PAYMENT', paymentId: payment };
  if (from === undefined || to === undefined) return misuse('--from and --to go together');
  return from < to ? { kind: 'TIME', from, to } : misuse('--from must be before --to');
}

async function toOutbox(pool: pg.Pool, range: ReplayRange): Promise<number> {
  if (range.kind === 'ACCOUNT' && !(await findAccounts(pool, [range.accountId])).has(range.accountId)) {
    throw new CommandError(`There is no account ${range.accountId}.`, ExitCode.NOT_FOUND);
  }
  const count = await replay(postgresPaymentHistory(pool), postgresReplayOutbox(pool), range, (replayed) => {
    if (replayed % 10_000 === 0 && replayed > 0) console.error(`${replayed} events so far`);
  });
  if (range.kind === 'PAYMENT' && count === 0) {
    throw new CommandError(`There is no payment ${range.paymentId}.`, ExitCode.NOT_FOUND);
  }
  return count;
}
