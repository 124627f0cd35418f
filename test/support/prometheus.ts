import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { unpackedPackages } from '../../tools/debian-package.ts';
import { which } from '../../tools/stack/cache.ts';
import { freePorts } from '../../tools/stack/free-port.ts';
import { GuardedProcess } from '../../tools/stack/guarded-process.ts';
import { startServer } from '../../tools/stack/server.ts';

const RULES = join(import.meta.dirname, '../../deploy/prometheus');

export interface PrometheusPrograms {
  readonly prometheus: string;
  readonly promtool: string;
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Alert {
  readonly name: string;
  readonly query: string;
  readonly state: string;
  readonly lastError: string | undefined;
}

export interface Prometheus {
  query(expression: string): Promise<readonly Sample[]>;
  alerts(): Promise<readonly Alert[]>;
  stop(): Promise<void>;
}

/** Prometheus from the path, or Debian's package unpacked into the cache. A text says why there is none. */
export async function findPrometheus(): Promise<PrometheusPrograms | string> {
  const [prometheus, promtool] = [which('prometheus'), which('promtool')];
  if (prometheus !== undefined && promtool !== undefined) return { prometheus, promtool };
  const unpacked = await unpackedPackages('prometheus', ['prometheus']);
  if (typeof unpacked === 'string') return unpacked;
  const program = (name: string) => join(unpacked.folder, 'usr/bin', name);
  return { prometheus: program('prometheus'), promtool: program('promtool') };
}

/** Runs promtool in deploy/prometheus. Throws with what it says if it finds fault. */
export async function promtool(programs: PrometheusPrograms, ...args: string[]): Promise<string> {
  return (await promisify(execFile)(programs.promtool, args, { cwd: RULES })).stdout;
}

/** Starts Prometheus as deploy/prometheus has it, but with these targets instead of its own, and looking each second. */
export async function startPrometheus(
  { prometheus }: PrometheusPrograms,
  targets: Readonly<Record<string, string>>,
): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'payment-ledger-prometheus-'));
  const [port] = (await freePorts(1)) as [number];
  let config = (await readFile(join(RULES, 'prometheus.yml'), 'utf8'))
    .replaceAll(/_interval: .*/g, '_interval: 1s')
    .replace('rules.yml', join(RULES, 'rules.yml'));
  for (const [job, target] of Object.entries(targets)) {
    config = config.replace(new RegExp(`(job_name: ${job}\\n(?: .*\\n)*? *- targets: ).*`), `$1['${target}']`);
  }
  await writeFile(join(folder, 'prometheus.yml'), config);
  const address = `http://127.0.0.1:${port}`;
  const server = await startServer({
    name: 'Prometheus',
    address,
    process: new GuardedProcess({
      name: 'Prometheus',
      command: prometheus,
      args: [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      logFile: join(folder, 'prometheus.log'),
      stopSignal: 'SIGTERM',
    }),
    ping: async () => {
      const { ok, status } = await fetch(`${address}/-/ready`);
      if (!ok) throw new Error(`Prometheus is not ready: ${status}`);
    },
    startTimeoutMs: 30_000,
  });
  const get = async (path: string) => {
    const answer = (await (await fetch(`${address}/api/v1/${path}`)).json()) as { error?: string; data: never };
    if (answer.error !== undefined) throw new Error(`Prometheus: ${answer.error}`);
    return answer.data;
  };
  return {
    async query(expression) {
      const { result }: { result: { metric: Record<string, string>; value: [number, string] }[] } = await get(
        `query?query=${encodeURIComponent(expression)}`,
      );
      return result.map(({ metric, value: [, value] }) => ({ labels: metric, value: Number(value) }));
    },
    async alerts() {
      const { groups }: { groups: { rules: Alert[] }[] } = await get('rules?type=alert');
      return groups.flatMap(({ rules }) => rules);
    },
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
