import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BenchDatabase, connect } from '../database.ts';
import { openAccounts } from '../fill.ts';
import { digest } from '../profile-digest.ts';
import type { Findings } from '../report.ts';
import { rounded } from '../statistics.ts';
import { callTurn } from '../turns.ts';
import type { Bench, Suite } from './suite.ts';

const ACCOUNTS = 10_000;
const CALLERS = 256;

/** Where the time of AuthorizePayment goes at 256 callers: in the API by a CPU profile, in Postgres by statement. */
export const profileSuite: Suite = { kafka: false, run };

async function run({ environment, options, onProgress, signal }: Bench): Promise<Findings> {
  const counted = await countStatements(environment);
  const database = await environment.database('profile');
  await openAccounts(database, ACCOUNTS);
  if (counted) await database.client.query('create extension pg_stat_statements');
  const folder = join(environment.folder, 'profile');
  const service = await environment.api('service', database, {}, ['--cpu-prof', `--cpu-prof-dir=${folder}`]);
  const contestant = callTurn(environment, options, {
    name: 'authorize',
    server: service,
    calls: { kind: 'authorize', pattern: 'uniform', accounts: ACCOUNTS },
    callers: CALLERS,
    outcome: 'AUTHORIZED',
  });
  onProgress('warm-up');
  await contestant.turn(options.warmUpMs, options.rampMs);
  if (counted) await database.client.query('select pg_stat_statements_reset()');
  signal.throwIfAborted();
  onProgress('profiling');
  await contestant.turn(options.durationMs * options.rounds, options.rampMs);
  const statements = counted ? await statementShares(database) : [];
  // The profile is written when the process ends.
  await service.stop();
  const [file] = await readdir(folder);
  const parts = digest(await readFile(join(folder, file!), 'utf8'));
  return {
    ratios: {},
    figures: { api: Object.fromEntries(parts.map(([name, share]) => [name, rounded(share)])), statements },
    table: {
      head: ['', 'share'],
      rows: [
        ...parts.map(([name, share]) => [`API: ${name}`, percent(share)]),
        ...statements.map(({ query, share, usPerPayment }) => [
          `Postgres: ${query}`,
          `${percent(share)}, ${usPerPayment.toFixed(1)} us a payment`,
        ]),
      ],
    },
    notes: [
      'shares of the time in which the API was busy, and of the time in which Postgres executed statements',
      ...(counted ? [] : ['pg_stat_statements cannot be loaded into a Postgres that is not ours']),
    ],
  };
}

/** Loads pg_stat_statements into the server. False if the server is not ours to restart. */
async function countStatements({ stack, postmaster }: Bench['environment']): Promise<boolean> {
  if (postmaster === undefined) return false;
  const client = await connect(stack.postgres.address);
  try {
    await client.query("alter system set shared_preload_libraries = 'pg_stat_statements'");
    // What triggers do inside a statement counts for the statement.
    await client.query("alter system set pg_stat_statements.track = 'top'");
  } finally {
    await client.end();
  }
  await stack.postgres.stop();
  await stack.postgres.start();
  return true;
}

async function statementShares({ client }: BenchDatabase) {
  const { rows } = await client.query<{ query: string; ms: number; payments: number }>(`
    with shown as (
      select regexp_replace(query, '\\s+', ' ', 'g') as query, total_exec_time as ms,
        max(rows) filter (where query like '%insert into idempotency_keys%') over () as payments
      from pg_stat_statements
      where query !~* 'pg_stat_statements|pg_database' order by total_exec_time desc limit 6)
    select query, ms, coalesce(payments, 0)::float8 as payments from shown`);
  const total = rows.reduce((sum, { ms }) => sum + ms, 0);
  return rows.map(({ query, ms, payments }) => ({
    query: query.length > 60 ? `${query.slice(0, 57)}...` : query,
    share: rounded(ms / total),
    usPerPayment: rounded((ms * 1_000) / payments),
  }));
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
