import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, maven, type OnProgress } from '../stack/cache.ts';
import { GuardedProcess } from '../stack/guarded-process.ts';
import { javaProperties, LOG4J_TO_STANDARD_OUTPUT } from '../stack/java-properties.ts';
import { type Server, startServer } from '../stack/server.ts';

const HOST = '127.0.0.1';
const MAIN = 'org.apache.kafka.connect.cli.ConnectDistributed';
const JVM = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:+ExitOnOutOfMemoryError'];

/** The folder of the jars of Connect and Debezium in the cache, fetched if need be. */
export function connectJars(cache: string, onProgress: OnProgress): Promise<string> {
  const fetch = (draft: string) => maven('connect-pom.xml', draft, 'copy-dependencies', '-DincludeScope=runtime');
  return cached(cache, 'connect-4.1.1-debezium-3.3.2', fetch, onProgress);
}

export interface ConnectOptions {
  /** Where it keeps its log. */
  readonly folder: string;
  readonly jars: string;
  readonly brokers: string;
  /** What a configuration of a connector may refer to as ${env:NAME}. */
  readonly env: NodeJS.ProcessEnv;
  /** What to post to /connectors. */
  readonly connector: string;
}

/** Starts a worker with one connector, posted if it has none, and waits until its task runs. */
export async function startConnect(options: ConnectOptions, port: number): Promise<Server> {
  const { folder, jars, brokers, env, connector } = options;
  await mkdir(folder, { recursive: true });
  const properties = join(folder, 'worker.properties');
  const logging = join(folder, 'log4j2.properties');
  await writeFile(properties, workerProperties(brokers, port));
  await writeFile(logging, LOG4J_TO_STANDARD_OUTPUT);
  return startServer({
    name: 'Connect',
    address: `${HOST}:${port}`,
    process: new GuardedProcess({
      name: 'Connect',
      command: 'java',
      args: [...JVM, `-Dlog4j2.configurationFile=${logging}`, '-cp', join(jars, '*'), MAIN, properties],
      env,
      logFile: join(folder, 'connect.log'),
      pidFile: join(folder, 'connect.pid'),
      stopSignal: 'SIGTERM',
    }),
    ping: () => taskRuns(`http://${HOST}:${port}/connectors`, connector),
    startTimeoutMs: 120_000,
  });
}

function workerProperties(brokers: string, port: number): string {
  return javaProperties({
    'bootstrap.servers': brokers,
    listeners: `http://${HOST}:${port}`,
    'group.id': 'connect',
    'config.storage.topic': 'connect-configs',
    'config.storage.replication.factor': 1,
    'offset.storage.topic': 'connect-offsets',
    'offset.storage.partitions': 1,
    'offset.storage.replication.factor': 1,
    'status.storage.topic': 'connect-status',
    'status.storage.partitions': 1,
    'status.storage.replication.factor': 1,
    // A worker that was killed comes back; nobody else takes its task over.
    'scheduled.rebalance.max.delay.ms': 0,
    'session.timeout.ms': 6_000,
    'heartbeat.interval.ms': 1_000,
    'offset.flush.interval.ms': 5_000,
    'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'plugin.discovery': 'service_load',
    'config.providers': 'env',
    'config.providers.env.class': 'org.apache.kafka.common.config.provider.EnvVarConfigProvider',
  });
}

async function taskRuns(url: string, connector: string): Promise<void> {
  const { name } = JSON.parse(connector) as { name: string };
  const answer = await fetch(`${url}/${name}/status`);
  if (answer.status === 404) {
    const posted = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: connector,
    });
    throw new Error(`There was no connector ${name}; asked for one: ${posted.status} ${await posted.text()}`);
  }
  const { tasks } = (await answer.json()) as { tasks?: { state: string; trace?: string }[] };
  const task = tasks?.[0];
  if (task?.state !== 'RUNNING') throw new Error(`The task is ${task?.state ?? 'not there yet'} ${task?.trace ?? ''}`);
}
