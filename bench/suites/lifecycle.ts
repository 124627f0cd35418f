import { uuidToUlid } from '../../src/app/ulid.ts';
import type { BenchDatabase } from '../database.ts';
import { fillBooks, problemsOf } from '../fill.ts';
import type { Calls } from '../load/job.ts';
import type { Findings } from '../report.ts';
import type { ServiceProcess } from '../service-process.ts';
import { ratioOf, spreadOf } from '../statistics.ts';
import { type CallSample, type Contestant, callTurn, takeTurns } from '../turns.ts';
import { makeStocks, turnFromStock } from './stock.ts';
import type { Bench, Suite } from './suite.ts';

/** Of what changes the books. */
const CALLERS = 256;
/** Of what reads them; the aims are for one, whose latency is nobody else's doing. */
const READERS = [1, 16] as const;

const TRANSFERS = 10;

/** What is done to a payment after it, several payments as one, and what is read of an account, beside paying and reading one payment. */
export const lifecycleSuite: Suite = { kafka: false, run };

interface Ratio {
  readonly of: string;
  readonly to: string;
  readonly field: 'perSecond' | 'p50Ms';
  /** How many of what it is compared with one call does; one unless it is given. */
  readonly each?: number;
  /** Of a rate the least, of a latency the most. */
  readonly aim: number;
}

const BATCH = `ExecutePaymentBatch of ${TRANSFERS}`;
const GET_PAYMENT = nameOf('GetPayment', 1);

const RATIOS: Readonly<Record<string, Ratio>> = {
  hold_vs_authorize: { of: 'HoldPayment', to: 'AuthorizePayment', field: 'perSecond', aim: 0.85 },
  capture_vs_authorize: { of: 'CapturePayment', to: 'AuthorizePayment', field: 'perSecond', aim: 0.7 },
  refund_vs_authorize: { of: 'RefundPayment', to: 'AuthorizePayment', field: 'perSecond', aim: 0.7 },
  batch_vs_authorize: { of: BATCH, to: 'AuthorizePayment', field: 'perSecond', each: TRANSFERS, aim: 1.5 },
  statement_vs_payment: { of: nameOf('page of 100 entries', 1), to: GET_PAYMENT, field: 'p50Ms', aim: 6 },
  snapshot_vs_payment: { of: nameOf('snapshot by time', 1), to: GET_PAYMENT, field: 'p50Ms', aim: 4 },
};

function nameOf(read: string, callers: number): string {
  return `${read}, ${callers}`;
}

async function run(bench: Bench): Promise<Findings> {
  const { environment, options, onProgress, signal } = bench;
  const { payments } = options;
  // So few that every account has more than a page of entries; a thousand each at five million payments.
  const accounts = Math.min(10_000, Math.floor(payments / 100));
  const database = await environment.database('lifecycle');
  await fillBooks(database, accounts, payments, onProgress, signal);
  const service = await environment.api('service', database);
  const reads = await readTurns(bench, database, service, accounts);
  const contestants = [...(await actionTurns(bench, database, service, accounts)), ...reads];
  // What making the stock has left behind is not for the first turns to clean up.
  await database.client.query('vacuum analyze');
  await database.client.query('checkpoint');
  const samples = await takeTurns(contestants, options, onProgress, signal);
  onProgress('reconciling the books');
  const problems = await problemsOf(database);
  if (problems.length > 0) throw new Error(`The books do not balance:\n${problems.join('\n')}`);
  return findings(samples, payments, accounts);
}

async function actionTurns(
  bench: Bench,
  database: BenchDatabase,
  server: ServiceProcess,
  accounts: number,
): Promise<Contestant<CallSample>[]> {
  const { environment, options } = bench;
  const stocks = await makeStocks(bench, database, server, accounts, CALLERS);
  const turn = { server, callers: CALLERS, outcome: 'TAKEN' };
  return [
    callTurn(environment, options, {
      ...turn,
      name: 'AuthorizePayment',
      calls: { kind: 'authorize', pattern: 'uniform', accounts },
      outcome: 'AUTHORIZED',
    }),
    callTurn(environment, options, { ...turn, name: 'HoldPayment', calls: { kind: 'hold', accounts } }),
    turnFromStock(bench, stocks.capture, 'capture', { ...turn, name: 'CapturePayment' }),
    turnFromStock(bench, stocks.refund, 'refund', { ...turn, name: 'RefundPayment' }),
    callTurn(environment, options, {
      ...turn,
      name: BATCH,
      calls: { kind: 'batch', accounts, transfers: TRANSFERS },
    }),
  ];
}

/** Of the books as they were filled, all over them. */
async function readTurns(
  { environment, options }: Bench,
  { client }: BenchDatabase,
  server: ServiceProcess,
  accounts: number,
): Promise<Contestant<CallSample>[]> {
  const { rows: payments } = await client.query<{ payment_id: string }>(
    'select payment_id from payments order by random() limit 10000',
  );
  const { rows } = await client.query<{ last_version: number; from_ms: number; to_ms: number }>(`
    select (select min(version)::int from account_balances) as last_version,
      date_part('epoch', min(created_at)) * 1000 as from_ms, date_part('epoch', max(created_at)) * 1000 as to_ms
    from ledger_entries`);
  const { last_version: lastVersion, from_ms: fromMs, to_ms: toMs } = rows[0]!;
  const kinds: Readonly<Record<string, { calls: Calls; outcome: string }>> = {
    GetPayment: {
      calls: { kind: 'payment', paymentIds: payments.map(({ payment_id }) => uuidToUlid(payment_id)) },
      outcome: 'OK',
    },
    'page of 100 entries': { calls: { kind: 'statement', accounts, lastVersion }, outcome: '100 entries' },
    'snapshot by time': { calls: { kind: 'snapshot', accounts, fromMs, toMs }, outcome: 'OK' },
  };
  return READERS.flatMap((callers) =>
    Object.entries(kinds).map(([kind, { calls, outcome }]) =>
      callTurn(environment, options, { name: nameOf(kind, callers), server, calls, callers, outcome }),
    ),
  );
}

function findings(samples: ReadonlyMap<string, readonly CallSample[]>, payments: number, accounts: number): Findings {
  const measured = Object.entries(RATIOS).map(([name, { of, to, field, each = 1, aim }]) => {
    const values = (contestant: string, times: number) =>
      samples.get(contestant)!.map((sample) => sample[field] * times);
    const { median } = ratioOf(values(of, each), values(to, 1));
    const met = field === 'perSecond' ? median >= aim : median <= aim;
    return { name, median, note: `${name} ${median}, aim ${aim}: ${met ? 'met' : 'missed'}` };
  });
  const figures = [...samples].map(([name, taken]) => [name, figureOf(taken)] as const);
  return {
    ratios: Object.fromEntries(measured.map(({ name, median }) => [name, median])),
    figures: { ...Object.fromEntries(figures), payments, accounts },
    table: {
      head: ['', 'per second', 'spread', 'p50 ms', 'p99 ms', 'CPU s/1000: server', 'Postgres'],
      rows: figures.map(([name, figure]) => [
        name,
        figure.perSecond.median.toFixed(0),
        `${figure.perSecond.min.toFixed(0)}-${figure.perSecond.max.toFixed(0)}`,
        figure.p50Ms.median.toFixed(2),
        figure.p99Ms.median.toFixed(2),
        figure.serverCpuSecondsPer1000.toFixed(3),
        figure.postgresCpuSecondsPer1000.toFixed(3),
      ]),
    },
    notes: [
      ...measured.map(({ note }) => note),
      `with ${payments} payments in the books of ${accounts} accounts, which were reconciled before and after`,
    ],
  };
}

function figureOf(taken: readonly CallSample[]) {
  const over = (field: 'perSecond' | 'p50Ms' | 'p99Ms' | 'serverCpu' | 'postgresCpu') =>
    spreadOf(taken.map((sample) => sample[field]));
  return {
    perSecond: over('perSecond'),
    p50Ms: over('p50Ms'),
    p99Ms: over('p99Ms'),
    serverCpuSecondsPer1000: over('serverCpu').median,
    postgresCpuSecondsPer1000: over('postgresCpu').median,
  };
}
