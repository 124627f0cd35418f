import { parseArgs } from 'node:util';
import type { Client } from './load/job.ts';

export const BENCHES = [
  'authorize',
  'lifecycle',
  'read',
  'growth',
  'soak',
  'relay',
  'abuse',
  'secured',
  'profile',
] as const;
export type BenchName = (typeof BENCHES)[number];

export const HELP = `npm run bench -- [NAME...] [OPTION...]: measures Payment Ledger on this machine.

Names; all of them without one:
  authorize   payments beside group size 1, pgbench's TPC-B and a gRPC server that does nothing
  lifecycle   holds, captures, refunds, batches and reads of accounts beside payments
  read        GetAccountBalance, GetPayment and repeated payments beside that server
  growth      payments after ten thousand, a million and five million others
  soak        a fixed rate for minutes: latency, memory and table sizes as time goes by
  relay       events per second beside a bare kafkajs producer; backlog, latency, table size
  abuse       payments while an account, a key, health, reflection, openings or reads are abused
  secured     payments over mutual TLS with tokens and traces, beside payments without
  profile     where the time of a payment goes, in the API and in Postgres

Options:
  --rounds N      rounds in which everything compared takes its turn        (5)
  --seconds N     measured time of each turn                                (4)
  --minutes N     length of the soak                                        (10)
  --rate N        payments a second in the soak                             (1000)
  --sizes A,B,C   stored payments in growth                                 (10000,1000000,5000000)
  --payments N    stored payments in lifecycle, at least 10000              (5000000)
  --client NAME   load generator: frames, or the slower grpc-js             (frames)
  --quick         a few seconds of each, to see that it runs; measures nothing
  --help

The servers are started for the purpose, on loopback, and removed afterwards, unless
DATABASE_URL, REDIS_URL or KAFKA_BROKERS name others. The last line printed for each
benchmark is its result in JSON; it is also kept in .local/bench/NAME.json, from which
npm run bench -- charts draws docs/performance/. Leave the machine alone meanwhile.`;

export interface Options {
  readonly benches: readonly BenchName[];
  /** Draw charts and fill in tables from the results there are, and measure nothing. */
  readonly charts: boolean;
  readonly help: boolean;
  readonly quick: boolean;
  readonly client: Client;
  readonly rounds: number;
  /** The measured time of one turn. */
  readonly durationMs: number;
  /** What goes before it in each turn. */
  readonly rampMs: number;
  readonly warmUpMs: number;
  readonly soakMs: number;
  /** Payments per second. */
  readonly soakRate: number;
  /** Stored payments, rising. */
  readonly sizes: readonly number[];
  /** Stored payments in lifecycle. */
  readonly payments: number;
}

/** Throws with a message for the user. */
export function parseOptions(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '4' },
      minutes: { type: 'string', default: '10' },
      rate: { type: 'string', default: '1000' },
      sizes: { type: 'string', default: '10000,1000000,5000000' },
      payments: { type: 'string', default: '5000000' },
      client: { type: 'string', default: 'frames' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const charts = positionals.includes('charts');
  const benches = positionals.filter((name) => name !== 'charts').map(benchName);
  const { client, quick, help } = values;
  if (client !== 'frames' && client !== 'grpc-js') throw new Error(`--client is frames or grpc-js, not ${client}`);
  const chosen = { benches: benches.length > 0 || charts ? benches : BENCHES, charts, help, quick, client } as const;
  if (quick) {
    return {
      ...chosen,
      rounds: 1,
      durationMs: 300,
      rampMs: 100,
      warmUpMs: 300,
      soakMs: 3_000,
      soakRate: 200,
      sizes: [10_000, 20_000],
      payments: 20_000,
    };
  }
  return {
    ...chosen,
    rounds: positive('rounds', values.rounds),
    durationMs: positive('seconds', values.seconds) * 1_000,
    rampMs: 500,
    warmUpMs: 3_000,
    soakMs: positive('minutes', values.minutes) * 60_000,
    soakRate: positive('rate', values.rate),
    sizes: values.sizes.split(',').map((size) => positive('sizes', size)),
    payments: atLeast(10_000, 'payments', values.payments),
  };
}

function benchName(name: string): BenchName {
  const known = BENCHES.find((each) => each === name);
  if (known === undefined) throw new Error(`There is no benchmark ${name}: they are ${BENCHES.join(', ')}.`);
  return known;
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${option} must be a number above 0, not ${text}`);
  return value;
}

function atLeast(least: number, option: string, text: string): number {
  const value = Number(text);
  if (!(value >= least)) throw new Error(`--${option} must be a number, ${least} or more, not ${text}`);
  return value;
}
