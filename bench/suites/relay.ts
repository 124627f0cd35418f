import { Redis } from 'ioredis';
import { untilInterrupted } from '../../tools/interrupt.ts';
import { Environment } from '../environment.ts';
import { type BenchName, parseOptions } from '../options.ts';
import type { Produced, ProduceJob } from '../relay/bare-producer.ts';
import { Child } from '../relay/child.ts';
import { type Drained, drain, startWorkers, type Workers } from '../relay/drain.ts';
import { type Latency, measureLatency } from '../relay/latency.ts';
import { measureTableSize, type TableSize } from '../relay/table-size.ts';
import { circumstances, type Findings, publish } from '../report.ts';
import { ratioOf, rounded, spreadOf } from '../statistics.ts';
import type { Bench, Suite } from './suite.ts';

/** The relay beside a kafkajs producer that does nothing else; backlog, latency, and the outbox's size. */
export const relaySuite: Suite = { kafka: true, run };

interface Sizes {
  readonly rounds: number;
  /** Events in a turn. */
  readonly turn: number;
  readonly backlog: number;
  readonly latencyWarmUpMs: number;
  readonly latencyMs: number;
  /** Published rows after which the outbox is measured. */
  readonly marks: readonly [number, number];
}

const NAME: BenchName = 'relay';
const LATENCY_RATE = 500;

async function run({ environment, options, onProgress, signal }: Bench): Promise<Findings> {
  const sizes = sizesOf(options.quick, options.rounds);
  const { kafka, redis: redisServer } = environment.stack;
  const redis = new Redis(redisServer.address);
  try {
    onProgress('starting workers');
    const one = await startWorkers(environment, 'relay_one', 1);
    const two = await startWorkers(environment, 'relay_two', 2);
    const turns = await compare({ one, two, redis, brokers: kafka.address, sizes, onProgress, signal });

    signal.throwIfAborted();
    onProgress(`latency at ${LATENCY_RATE} a second`);
    const latency = await measureLatency({
      database: one.database,
      redisUrl: redisServer.address,
      brokers: kafka.address,
      topic: one.topic,
      perSecond: LATENCY_RATE,
      warmUpMs: sizes.latencyWarmUpMs,
      durationMs: sizes.latencyMs,
    });

    signal.throwIfAborted();
    onProgress(`a backlog of ${sizes.backlog}`);
    const backlog = await drain(await startWorkers(environment, 'relay_backlog', 1), redis, sizes.backlog);

    signal.throwIfAborted();
    const { database } = await startWorkers(environment, 'relay_size', 1);
    const table = await measureTableSize(database, redis, sizes.marks, (rows) => {
      signal.throwIfAborted();
      onProgress(`the outbox's size: ${rows} rows`);
    });
    return findings({ ...turns, latency, backlog, table });
  } finally {
    redis.disconnect();
  }
}

function sizesOf(quick: boolean, rounds: number): Sizes {
  return quick
    ? { rounds: 1, turn: 5_000, backlog: 10_000, latencyWarmUpMs: 500, latencyMs: 1_000, marks: [2_000, 10_000] }
    : {
        rounds,
        turn: 100_000,
        backlog: 500_000,
        latencyWarmUpMs: 10_000,
        latencyMs: 30_000,
        marks: [10_000, 1_000_000],
      };
}

interface Comparison {
  readonly one: Workers;
  readonly two: Workers;
  readonly redis: Redis;
  readonly brokers: string;
  readonly sizes: Sizes;
  readonly onProgress: (message: string) => void;
  readonly signal: AbortSignal;
}

/** Events per second, by round. */
interface Turns {
  readonly one: number[];
  readonly two: number[];
  readonly bare: number[];
}

/** One worker, two workers and the bare producer by turns; what is compared in a round lies seconds apart. */
async function compare({ one, two, redis, brokers, sizes, onProgress, signal }: Comparison): Promise<Turns> {
  const producer = new Child<ProduceJob, Produced>('bare-producer.ts', [brokers, one.topic]);
  const turns: Turns = { one: [], two: [], bare: [] };
  const contestants = [
    ['one', async () => (await drain(one, redis, sizes.turn)).perSecond],
    ['bare', async () => (sizes.turn / (await producer.ask({ events: sizes.turn })).durationMs) * 1_000],
    ['two', async () => (await drain(two, redis, sizes.turn)).perSecond],
  ] as const;
  try {
    // Round 0 warms up.
    for (let round = 0; round <= sizes.rounds; round++) {
      for (const [name, turn] of round % 2 === 0 ? contestants : contestants.toReversed()) {
        signal.throwIfAborted();
        onProgress(`${round === 0 ? 'warm-up' : `round ${round} of ${sizes.rounds}`}: ${name}`);
        const perSecond = await turn();
        if (round > 0) turns[name].push(perSecond);
      }
    }
    return turns;
  } finally {
    await producer.stop();
  }
}

interface Measured extends Turns {
  readonly latency: Latency;
  readonly backlog: Drained;
  readonly table: readonly TableSize[];
}

function findings({ one, two, bare, latency, backlog, table }: Measured): Findings {
  const [small, large] = [table[0]!, table.at(-1)!];
  const backlogMb = Number.isNaN(backlog.peakBytes) ? null : rounded(backlog.peakBytes / 2 ** 20);
  const rows = { 'one worker': spreadOf(one), 'two workers': spreadOf(two), 'bare kafkajs producer': spreadOf(bare) };
  return {
    ratios: {
      vs_bare_producer: ratioOf(one, bare).median,
      two_workers_vs_one: ratioOf(two, one).median,
      two_workers_vs_one_least: ratioOf(two, one).min,
      backlog_late_vs_early: rounded(backlog.lastThirdPerSecond / backlog.firstThirdPerSecond),
      table_size_vs_small: rounded(large.bytes / small.bytes),
    },
    figures: {
      perSecond: rows,
      backlog: {
        perSecond: rounded(backlog.perSecond),
        firstThirdPerSecond: rounded(backlog.firstThirdPerSecond),
        lastThirdPerSecond: rounded(backlog.lastThirdPerSecond),
        peakMemoryMb: backlogMb,
      },
      latency,
      tableSize: table,
    },
    table: {
      head: ['', 'median', 'least', 'most'],
      rows: [
        ...Object.entries(rows).map(([name, { median, min, max }]) => [
          `events/s, ${name}`,
          ...[median, min, max].map((value) => value.toFixed(0)),
        ]),
        ['events/s, backlog', backlog.perSecond.toFixed(0)],
        ['memory in backlog, MB', backlogMb?.toFixed(0) ?? ''],
        [`commit to consumer at ${LATENCY_RATE}/s, ms`, latency.p50Ms.toFixed(1), '', latency.maxMs.toFixed(1)],
        ['… 99 of 100 within, ms', latency.p99Ms.toFixed(1)],
        ...table.map(({ publishedRows, bytes }) => [
          `outbox within ${publishedRows} rows, most MB`,
          (bytes / 2 ** 20).toFixed(1),
        ]),
      ],
    },
    notes: [
      'the bare producer sends events made beforehand, with the same headers, acks and compression, in the largest batches that the relay may send',
      'a backlog becomes visible at once, and is timed until the outbox is empty',
    ],
  };
}

/** By itself: servers, measurement, table and JSON. */
async function alone(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  const onProgress = (message: string) => console.error(`relay  ${message}`);
  await untilInterrupted(async (signal, finish) => {
    const environment = await Environment.start({ kafka: true, onProgress });
    const measured = run({ environment, options, onProgress, signal })
      .then((found) => publish(NAME, found, circumstances(environment.settings, options), options.quick))
      .finally(() => environment.stop())
      .then(() => finish(null), finish);
    return () => measured;
  });
}

if (import.meta.main) await alone();
