import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, maven, type OnProgress } from '../stack/cache.ts';
import { GuardedProcess } from '../stack/guarded-process.ts';
import { type Server, startServer } from '../stack/server.ts';

const HOST = '127.0.0.1';
const JVM = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:+ExitOnOutOfMemoryError'];

/** The folder of the jars of Connect and Debezium in the cache, fetched if need be. */
export function connectJars(cache: string, onProgress: OnProgress): Promise<string> {
  const fetch = (draft: string) => maven('connect-pom.xml', draft, 'copy-dependencies', '-DincludeScope=runtime');
  return cached(cache, 'connect-4.1.1-debezium-3.3.2', fetch, onProgress);
}

export interface ConnectOptions {
  /** Where it keeps its offsets and its log. */
  readonly folder: string;
  readonly jars: string;
  readonly brokers: string;
  /** What a configuration of a connector may refer to as ${env:NAME}. */
  readonly env: NodeJS.ProcessEnv;
  /** A file as it could be posted to /connectors. */
  readonly connector: string;
  readonly connectorName: string;
}

/** Starts a standalone worker with one connector, and waits until its task runs. */
export async function startConnect(options: ConnectOptions, port: number): Promise<Server> {
  const { folder, jars, brokers, env, connector, connectorName } = options;
  await mkdir(folder, { recursive: true });
  const properties = join(folder, 'worker.properties');
  const logging = join(folder, 'log4j2.properties');
  await writeFile(properties, workerProperties(folder, brokers, port));
  await writeFile(logging, LOGGING);
  const main = ['org.apache.kafka.connect.cli.ConnectStandalone', properties, connector];
  return startServer({
    name: 'Connect',
    address: `${HOST}:${port}`,
    process: new GuardedProcess({
      name: 'Connect',
      command: 'java',
      args: [...JVM, `-Dlog4j2.configurationFile=${logging}`, '-cp', join(jars, '*'), ...main],
      env,
      logFile: join(folder, 'connect.log'),
      pidFile: join(folder, 'connect.pid'),
      stopSignal: 'SIGTERM',
    }),
    ping: () => taskRuns(`http://${HOST}:${port}/connectors/${connectorName}/status`),
    startTimeoutMs: 120_000,
  });
}

function workerProperties(folder: string, brokers: string, port: number): string {
  return Object.entries({
    'bootstrap.servers': brokers,
    listeners: `http://${HOST}:${port}`,
    'offset.storage.file.filename': join(folder, 'offsets'),
    'offset.flush.interval.ms': 5_000,
    'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'plugin.discovery': 'service_load',
    'config.providers': 'env',
    'config.providers.env.class': 'org.apache.kafka.common.config.provider.EnvVarConfigProvider',
  })
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/** Warnings and worse, to standard output, which is the log file. */
const LOGGING = `appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=[%d] %p %m (%c{1})%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
`;

async function taskRuns(url: string): Promise<void> {
  const status = (await (await fetch(url)).json()) as { tasks?: { state: string; trace?: string }[] };
  const task = status.tasks?.[0];
  if (task?.state !== 'RUNNING') throw new Error(`The task is ${task?.state ?? 'not there yet'} ${task?.trace ?? ''}`);
}
