import { uuidToUlid } from '../../src/app/ulid.ts';
import { addPayments, openAccounts } from '../fill.ts';
import type { Calls } from '../load/job.ts';
import type { Findings } from '../report.ts';
import type { ServiceProcess } from '../service-process.ts';
import { ratioOf, spreadOf } from '../statistics.ts';
import { type CallSample, callTurn, takeTurns } from '../turns.ts';
import type { Bench, Suite } from './suite.ts';

const ACCOUNTS = 10_000;
/** Payments stored, and read back. */
const PAYMENTS = 100_000;
/** Keys that are sent again and again; all of them are known before the first round. */
const REPEATED_KEYS = 500;
const CALLERS = [1, 256] as const;

/** What callers do besides paying for the first time. */
export const readSuite: Suite = { kafka: false, run };

async function run({ environment, options, onProgress, signal }: Bench): Promise<Findings> {
  const database = await environment.database('read');
  await openAccounts(database, ACCOUNTS);
  await addPayments(
    database,
    ACCOUNTS,
    options.quick ? 5_000 : PAYMENTS,
    (done) => onProgress(`stored ${done} payments`),
    signal,
  );
  const service = await environment.api('service', database);
  const noop = await environment.noop();
  const { rows } = await database.client.query<{ payment_id: string }>(
    'select payment_id from payments order by random() limit 10000',
  );
  const kinds: Record<string, { calls: Calls; outcome: string }> = {
    GetAccountBalance: { calls: { kind: 'balance', accounts: ACCOUNTS }, outcome: 'OK' },
    GetPayment: {
      calls: { kind: 'payment', paymentIds: rows.map(({ payment_id }) => uuidToUlid(payment_id)) },
      outcome: 'OK',
    },
    'AuthorizePayment, repeated': {
      calls: { kind: 'duplicate', accounts: ACCOUNTS, keys: REPEATED_KEYS },
      outcome: 'DUPLICATE',
    },
  };
  await payOnce(environment, service, options.client);
  const turns = CALLERS.flatMap((callers) =>
    Object.entries(kinds).flatMap(([kind, { calls, outcome }]) => [
      { name: nameOf('service', kind, callers), server: service, calls, callers, outcome },
      // The no-op answers every payment as if it were the first.
      {
        name: nameOf('no-op', kind, callers),
        server: noop,
        calls,
        callers,
        outcome: outcome === 'OK' ? 'OK' : 'AUTHORIZED',
      },
    ]),
  );
  const samples = await takeTurns(
    turns.map((turn) => callTurn(environment, options, turn)),
    options,
    onProgress,
    signal,
  );
  return findings(samples);
}

/** Sends every key that is to be repeated at least once. */
async function payOnce(environment: Bench['environment'], service: ServiceProcess, client: Bench['options']['client']) {
  const job = {
    address: service.address,
    client,
    connections: 1,
    calls: { kind: 'duplicate', accounts: ACCOUNTS, keys: REPEATED_KEYS } as const,
    load: { kind: 'closed', callers: 64 } as const,
    rampMs: 0,
    durationMs: 500,
  };
  for (let seed = 1; ; seed++) {
    const { outcomes } = await environment.load.run({ ...job, seed });
    if (outcomes['AUTHORIZED'] === undefined) return;
  }
}

const nameOf = (server: string, kind: string, callers: number) => `${server}, ${kind}, ${callers}`;

function findings(samples: ReadonlyMap<string, readonly CallSample[]>): Findings {
  const speeds = (name: string) => samples.get(name)!.map(({ perSecond }) => perSecond);
  const ratio = (kind: string) =>
    ratioOf(speeds(nameOf('service', kind, 256)), speeds(nameOf('no-op', kind, 256))).median;
  const figures = [...samples].map(([name, taken]) => {
    const over = (field: 'perSecond' | 'p50Ms' | 'p99Ms' | 'serverCpu' | 'postgresCpu') =>
      spreadOf(taken.map((sample) => sample[field]));
    const figure = {
      perSecond: over('perSecond'),
      p50Ms: over('p50Ms'),
      p99Ms: over('p99Ms'),
      serverCpuSecondsPer1000: over('serverCpu').median,
      postgresCpuSecondsPer1000: over('postgresCpu').median,
    };
    return [name, figure] as const;
  });
  return {
    ratios: {
      read_vs_noop: ratio('GetAccountBalance'),
      payment_vs_noop: ratio('GetPayment'),
      duplicate_vs_noop: ratio('AuthorizePayment, repeated'),
    },
    figures: Object.fromEntries(figures),
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
    notes: [],
  };
}
