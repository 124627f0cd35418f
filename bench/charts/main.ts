import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BENCHES } from '../options.ts';
import { measuredOf, momentsOf, type Result, readResult, relaySpeedsOf, sizesOf } from './results.ts';
import { type Bar, barChart, lineChart } from './svg.ts';

const DOCS = join(import.meta.dirname, '../../docs');

/** Draws the charts of docs/performance/ and writes the tables of docs/performance.md, from the results there are. */
export async function drawCharts(onProgress: (message: string) => void): Promise<void> {
  await mkdir(join(DOCS, 'performance'), { recursive: true });
  let page = await readFile(join(DOCS, 'performance.md'), 'utf8');
  for (const bench of BENCHES) {
    const result = readResult(bench);
    if (result === undefined) {
      onProgress(`no result of ${bench} yet`);
      continue;
    }
    for (const [name, svg] of Object.entries(CHARTS[bench]?.(result) ?? {})) {
      await writeFile(join(DOCS, 'performance', `${name}.svg`), svg);
      onProgress(`drew docs/performance/${name}.svg`);
    }
    page = fillIn(page, bench, section(result));
  }
  await writeFile(join(DOCS, 'performance.md'), page);
}

type Charts = (result: Result) => Readonly<Record<string, string>>;

const CHARTS: Readonly<Partial<Record<(typeof BENCHES)[number], Charts>>> = {
  authorize: (result) => ({
    'authorize-throughput': barChart(
      'AuthorizePayment, 256 callers',
      'a second; whiskers from the slowest round to the fastest',
      bars(result, {
        'service, uniform, 256': '10,000 accounts',
        'service, zipf, 256': "accounts by Zipf's law",
        'service, hot, 256': 'two hot accounts',
        'group size 1, uniform, 256': 'group size 1',
        'group size 1, hot, 256': 'group size 1, two hot accounts',
        'TPC-B, best': '*TPC-B',
        'no-op, uniform, 256': '*gRPC no-op',
      }),
    ),
    'authorize-latency': lineChart(
      'AuthorizePayment, latency by callers at a time',
      'ms',
      'callers',
      (['p50Ms', 'p99Ms'] as const).map((field) => ({
        label: field === 'p50Ms' ? 'median' : '99th percentile',
        points: [1, 16, 64, 256].flatMap((callers) => {
          const measured = measuredOf(result, `service, uniform, ${callers}`);
          return measured === undefined ? [] : [[callers, measured[field].median] as const];
        }),
      })),
    ),
  }),
  lifecycle: (result) => ({
    lifecycle: barChart(
      'The life of a payment, 256 callers',
      'a second',
      bars(result, {
        HoldPayment: 'HoldPayment',
        CapturePayment: 'CapturePayment',
        RefundPayment: 'RefundPayment',
        AuthorizePayment: '*AuthorizePayment',
      }),
    ),
  }),
  read: (result) => ({
    read: barChart(
      'Reads and repeats, 256 callers',
      'a second',
      bars(result, {
        'service, GetAccountBalance, 256': 'GetAccountBalance',
        'service, GetPayment, 256': 'GetPayment',
        'service, AuthorizePayment, repeated, 256': 'repeated payment',
        'no-op, GetAccountBalance, 256': '*gRPC no-op',
      }),
    ),
  }),
  growth: (result) => ({
    growth: barChart(
      'AuthorizePayment by payments stored before, 256 callers',
      'a second',
      sizesOf(result).map(({ payments, perSecond: { median, min, max } }) => ({
        label: payments.toLocaleString('en'),
        value: median,
        min,
        max,
        reference: false,
      })),
    ),
  }),
  relay: (result) => ({
    relay: barChart(
      'Relay',
      'events a second',
      Object.entries(relaySpeedsOf(result)).map(([label, { median, min, max }]) => ({
        label,
        value: median,
        min,
        max,
        reference: label.startsWith('bare'),
      })),
    ),
  }),
  soak: (result) => {
    const moments = momentsOf(result);
    const over = (field: 'p50Ms' | 'p99Ms' | 'apiMemoryMb' | 'relayMemoryMb', label: string) => ({
      label,
      points: moments.map((moment) => [moment.atSeconds / 60, moment[field]] as const),
    });
    return {
      'soak-latency': lineChart('Soak, latency', 'ms', 'minutes', [
        over('p50Ms', 'median'),
        over('p99Ms', '99th perc.'),
      ]),
      'soak-memory': lineChart('Soak, resident memory', 'MB', 'minutes', [
        over('apiMemoryMb', 'API'),
        over('relayMemoryMb', 'relay'),
      ]),
    };
  },
};

/** The bars of what was measured; a label that begins with an asterisk is something to compare with. */
function bars(result: Result, labels: Readonly<Record<string, string>>): Bar[] {
  return Object.entries(labels).flatMap(([name, label]) => {
    const measured = measuredOf(result, name);
    if (measured === undefined) return [];
    const { median, min, max } = measured.perSecond;
    return [{ label: label.replace('*', ''), value: median, min, max, reference: label.startsWith('*') }];
  });
}

/** The ratios and the table of a result in Markdown. */
function section({ ratios, table, figures: { circumstances } }: Result): string {
  const { machine, node, client, rounds, seconds } = circumstances;
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    `${machine.cores} cores of ${machine.cpu}, ${machine.memoryGb} GB, Node ${node}, client \`${client}\`, ${rounds} rounds of ${seconds} s.`,
    '',
    row(['ratio', 'value']),
    row(['---', '---:']),
    ...Object.entries(ratios).map(([name, value]) =>
      row([`\`${name}\``, value === null ? 'not measured' : String(value)]),
    ),
    '',
    row(table.head),
    row(table.head.map((_, column) => (column === 0 ? '---' : '---:'))),
    ...table.rows.map(row),
  ].join('\n');
}

/** Puts the text between the marks of the benchmark. Throws if the page has no such marks. */
function fillIn(page: string, bench: string, text: string): string {
  const [begin, end] = [`<!-- ${bench}: npm run bench -- charts -->`, `<!-- end of ${bench} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/performance.md has no place marked for ${bench}`);
  return `${page.slice(0, from + begin.length)}\n${text}\n${page.slice(to)}`;
}
