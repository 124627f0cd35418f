import type { Command } from 'commander';
import { loadCommandConfig } from '../../config.ts';
import { sampleOutbox } from '../../infra/postgres/outbox/sample.ts';
import { listShards, type ShardStatus } from '../../infra/postgres/outbox/shards.ts';
import type { OutboxSample } from '../../relay/ports.ts';
import { ExitCode } from '../exit-codes.ts';
import { DATABASE, withUsage } from '../help.ts';
import { fields, json, table } from '../output.ts';
import { settingsFor } from '../settings.ts';
import { withPool } from '../with-pool.ts';

const ABOUT = `Shows what the relay has still to send, what is blocked, and which worker owns which shard.

The oldest transaction of other roles shows only to a member of pg_read_all_stats.`;

export function addOutbox(program: Command, end: (exitCode: ExitCode) => void): void {
  const environment = { DATABASE_URL: `${DATABASE}, as the application's or the reader's role` };
  const usage = {
    examples: ['ledger outbox status', 'ledger outbox status --json'],
    environment,
    exitCodes: { 0: 'done, however much there is', 1: 'the command failed' },
  };
  const group = program.command('outbox').summary('show what the relay has still to send').description(ABOUT);
  withUsage(group, usage);
  const command = group.command('status').description(ABOUT).summary('show how far behind the relay is');
  command.option('--json', 'for programs');
  withUsage(command, usage).action(async (options: { json?: boolean }) => {
    const config = settingsFor(command, loadCommandConfig);
    await withPool(config.DATABASE_URL, 'outbox', async (pool) => {
      const [sample, shards] = [await sampleOutbox(pool), await listShards(pool)];
      console.log(options.json ? json({ ...sample, shards }) : report(sample, shards));
    });
    end(ExitCode.DONE);
  });
}

function report(sample: OutboxSample, shards: readonly ShardStatus[]): string {
  const seconds = (age: number) => `${age.toFixed(1)} s`;
  const whole = fields({
    'pending events': String(sample.pending),
    'oldest pending': seconds(sample.oldestPendingSeconds),
    'dead letters': String(sample.deadLetters),
    'blocked events': String(sample.blocked),
    'oldest blocked': seconds(sample.oldestBlockedSeconds),
    'oldest transaction': seconds(sample.oldestTransactionSeconds),
  });
  const columns = [
    { title: 'SHARD', number: true },
    { title: 'PENDING', number: true },
    { title: 'OLDEST', number: true },
    { title: 'OWNED BY' },
  ];
  const rows = shards.map(({ shard, pending, oldestPendingSeconds, owner }) => [
    String(shard),
    String(pending),
    seconds(oldestPendingSeconds),
    owner ?? '-',
  ]);
  return `${whole}\n\n${table(columns, rows)}`;
}
