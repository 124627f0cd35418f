import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { which } from '../tools/stack/cache.ts';

const run = promisify(execFile);

/** What to say where there is no pgbench. */
export const PGBENCH_MISSING =
  'pgbench is not on this machine, so there is no TPC-B to compare with. It comes with PostgreSQL itself: ' +
  'apt-get install postgresql-contrib (Debian, Ubuntu), brew install postgresql (macOS).';

export interface TpcbSample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** pgbench, from the path or from where Debian keeps it; undefined if there is none. */
export function findPgbench(): string | undefined {
  const onPath = which('pgbench');
  if (onPath !== undefined) return onPath;
  const debian = '/usr/lib/postgresql';
  if (!existsSync(debian)) return undefined;
  return readdirSync(debian)
    .toSorted((one, other) => Number(other) - Number(one))
    .map((version) => join(debian, version, 'bin/pgbench'))
    .find((path) => existsSync(path));
}

/** PostgreSQL's own benchmark, "TPC-B (sort of)": three updates, a read and an insert in a transaction. */
export class Tpcb {
  readonly #program: string;
  readonly #url: string;

  constructor(program: string, url: string) {
    this.#program = program;
    this.#url = url;
  }

  async version(): Promise<string> {
    return (await run(this.#program, ['--version'])).stdout.trim();
  }

  /** Makes its tables. Each unit of scale is a branch of 100,000 accounts; a transaction updates the row of one branch. */
  async initialize(scale: number, signal: AbortSignal): Promise<void> {
    await this.#pgbench(['--initialize', '--quiet', `--scale=${scale}`], signal);
  }

  async measure(clients: number, durationMs: number, signal: AbortSignal): Promise<TpcbSample> {
    const folder = await mkdtemp(join(tmpdir(), 'payment-ledger-pgbench-'));
    try {
      const output = await this.#pgbench(
        [
          ...['--no-vacuum', '--protocol=prepared', `--client=${clients}`, `--jobs=${Math.min(2, clients)}`],
          ...[`--time=${Math.max(1, Math.round(durationMs / 1_000))}`, '--log', `--log-prefix=${join(folder, 'log')}`],
        ],
        signal,
      );
      const tps = /^tps = ([\d.]+)/m.exec(output)?.[1];
      if (tps === undefined) throw new Error(`pgbench said nothing about its speed:\n${output}`);
      const latencies = await latenciesMs(folder);
      return { perSecond: Number(tps), p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async #pgbench(args: readonly string[], signal: AbortSignal): Promise<string> {
    const { hostname, port, username, password, pathname } = new URL(this.#url);
    const address = [`--host=${hostname}`, `--port=${port || 5432}`, `--username=${username}`];
    const { stdout } = await run(this.#program, [...address, ...args, pathname.slice(1)], {
      env: { ...process.env, PGPASSWORD: decodeURIComponent(password) },
      signal,
      maxBuffer: 2 ** 24,
    });
    return stdout;
  }
}

/** The client count, of those given, at which TPC-B is fastest. */
export async function bestClients(
  tpcb: Tpcb,
  counts: readonly number[],
  durationMs: number,
  signal: AbortSignal,
): Promise<number> {
  const speeds: number[] = [];
  for (const clients of counts) speeds.push((await tpcb.measure(clients, durationMs, signal)).perSecond);
  return counts[speeds.indexOf(Math.max(...speeds))]!;
}

/** pgbench's log has a line for each transaction, whose third field is its time in microseconds. */
async function latenciesMs(folder: string): Promise<number[]> {
  const latencies: number[] = [];
  for (const name of await readdir(folder)) {
    for (const line of (await readFile(join(folder, name), 'utf8')).trimEnd().split('\n')) {
      latencies.push(Number(line.split(' ', 3)[2]) / 1_000);
    }
  }
  return latencies.sort((one, other) => one - other);
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(Math.floor(share * sorted.length), sorted.length - 1)] ?? Number.NaN;
}
