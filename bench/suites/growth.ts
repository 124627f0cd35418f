import type { BenchDatabase } from '../database.ts';
import { fillBooks, problemsOf } from '../fill.ts';
import type { Findings } from '../report.ts';
import type { ServiceProcess } from '../service-process.ts';
import { ratioOf, rounded, spreadOf } from '../statistics.ts';
import { type CallSample, callTurn, takeTurns } from '../turns.ts';
import type { Bench, Suite } from './suite.ts';

const ACCOUNTS = 10_000;
const CALLERS = 256;

/** AuthorizePayment on books of different sizes, each in a database of its own, so that they can take turns. */
export const growthSuite: Suite = { kafka: false, run };

interface Books {
  readonly payments: number;
  readonly database: BenchDatabase;
  readonly service: ServiceProcess;
  readonly bytes: number;
}

async function run(bench: Bench): Promise<Findings> {
  const { environment, options, onProgress, signal } = bench;
  const books: Books[] = [];
  for (const payments of options.sizes) books.push(await fill(bench, payments));
  const contestants = books.map(({ payments, service }) =>
    callTurn(environment, options, {
      name: nameOf(payments),
      server: service,
      calls: { kind: 'authorize', pattern: 'uniform', accounts: ACCOUNTS },
      callers: CALLERS,
      outcome: 'AUTHORIZED',
    }),
  );
  const samples = await takeTurns(contestants, options, onProgress, signal);
  onProgress('reconciling the smallest books');
  const problems = await problemsOf(books[0]!.database);
  if (problems.length > 0) throw new Error(`The books do not balance:\n${problems.join('\n')}`);
  return findings(books, samples);
}

const nameOf = (payments: number) => `after ${payments} payments`;

async function fill({ environment, onProgress, signal }: Bench, payments: number): Promise<Books> {
  const database = await environment.database(`growth_${payments}`);
  await fillBooks(database, ACCOUNTS, payments, onProgress, signal);
  const { rows } = await database.client.query<{ bytes: string }>(
    'select pg_database_size(current_database())::text as bytes',
  );
  const service = await environment.api(`service-${payments}`, database);
  return { payments, database, service, bytes: Number(rows[0]!.bytes) };
}

function findings(books: readonly Books[], samples: ReadonlyMap<string, readonly CallSample[]>): Findings {
  const taken = ({ payments }: Books) => samples.get(nameOf(payments))!;
  const speeds = (each: Books) => taken(each).map(({ perSecond }) => perSecond);
  const [smallest, largest] = [books[0]!, books.at(-1)!];
  const figures = books.map((each) => {
    const over = (field: 'perSecond' | 'p50Ms' | 'p99Ms' | 'serverCpu' | 'postgresCpu') =>
      spreadOf(taken(each).map((sample) => sample[field]));
    return {
      payments: each.payments,
      databaseMb: rounded(each.bytes / 2 ** 20),
      perSecond: over('perSecond'),
      p50Ms: over('p50Ms'),
      p99Ms: over('p99Ms'),
      serverCpuSecondsPer1000: over('serverCpu').median,
      postgresCpuSecondsPer1000: over('postgresCpu').median,
    };
  });
  return {
    ratios: { growth: ratioOf(speeds(largest), speeds(smallest)).median },
    figures: { sizes: figures },
    table: {
      head: ['', 'per second', 'spread', 'p50 ms', 'p99 ms', 'CPU s/1000: server', 'Postgres', 'database MB'],
      rows: figures.map((figure) => [
        nameOf(figure.payments),
        figure.perSecond.median.toFixed(0),
        `${figure.perSecond.min.toFixed(0)}-${figure.perSecond.max.toFixed(0)}`,
        figure.p50Ms.median.toFixed(2),
        figure.p99Ms.median.toFixed(2),
        figure.serverCpuSecondsPer1000.toFixed(3),
        figure.postgresCpuSecondsPer1000.toFixed(3),
        figure.databaseMb.toFixed(0),
      ]),
    },
    notes: [`growth compares ${largest.payments} stored payments with ${smallest.payments}`],
  };
}
