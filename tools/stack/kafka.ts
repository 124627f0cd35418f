import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { withAdmin } from '../../src/infra/kafka/client.ts';
import { cached, maven, type OnProgress, which } from './cache.ts';
import { GuardedProcess } from './guarded-process.ts';
import { javaProperties, LOG4J_TO_STANDARD_OUTPUT } from './java-properties.ts';
import { type Server, startServer } from './server.ts';

const FETCHED = 'kafka-4.1.1';
const HOST = '127.0.0.1';

/** A broker for one machine: quick to start, sparing with memory and threads. */
const JVM = ['-Xms128m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:+ExitOnOutOfMemoryError'];

/** What a broker has besides. */
export interface KafkaExtras {
  /** Of server.properties; they win over ours. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Credentials it is formatted with: SCRAM-SHA-256=[name=…,password=…]. */
  readonly scramCredentials?: readonly string[];
  /** Of the cluster that it joins; left out, it is a cluster of its own. */
  readonly clusterId?: string;
}

/** How to provide Kafka otherwise. */
export const KAFKA_WAYS = 'or set KAFKA_BROKERS (docker-compose.yml has a broker).';

/** Why Kafka cannot be started here, or undefined if it can. */
export function kafkaMissing(isCached: (name: string) => boolean): string | undefined {
  const version = javaVersion();
  if (version === undefined) return `Kafka: there is no Java 17 or later on the path. Install one, ${KAFKA_WAYS}`;
  if (version < 17) return `Kafka: Java ${version} is too old. Install Java 17 or later, ${KAFKA_WAYS}`;
  if (!isCached(FETCHED) && which('mvn') === undefined) {
    return `Kafka: there is no Maven (mvn) on the path to fetch it with. Install Maven, ${KAFKA_WAYS}`;
  }
  return undefined;
}

/** The folder of Kafka's jars in the cache, fetched if need be. */
export function kafkaJars(cache: string, onProgress: OnProgress): Promise<string> {
  const fetch = (draft: string) => maven('kafka-pom.xml', draft, 'copy-dependencies', '-DincludeScope=runtime');
  return cached(cache, FETCHED, fetch, onProgress);
}

/** Starts one Apache Kafka broker in KRaft mode on data below folder, formatted on first use. */
export async function startKafka(
  folder: string,
  [port, controllerPort]: readonly [number, number],
  jars: string,
  { properties: more = {}, scramCredentials = [], clusterId = newClusterId() }: KafkaExtras = {},
): Promise<Server> {
  // Kafka reads its data folder as a list.
  if (folder.includes(','))
    throw new Error(`Kafka cannot keep its data in ${folder}: move the project to a path without a comma`);
  await mkdir(folder, { recursive: true });
  const properties = join(folder, 'server.properties');
  const logging = join(folder, 'log4j2.properties');
  const settings = { ...serverProperties(join(folder, 'data'), port, controllerPort), ...more };
  await writeFile(properties, javaProperties(settings));
  await writeFile(logging, LOG4J_TO_STANDARD_OUTPUT);

  const java = [...JVM, `-Dlog4j2.configurationFile=${logging}`, '-cp', join(jars, '*')];
  if (!existsSync(join(folder, 'data/meta.properties'))) {
    const format = [
      'kafka.tools.StorageTool',
      'format',
      '--cluster-id',
      clusterId,
      '--ignore-formatted',
      '--config',
      properties,
      ...scramCredentials.flatMap((credential) => ['--add-scram', credential]),
    ];
    await promisify(execFile)('java', [...java, ...format]);
  }
  return startServer({
    name: 'Kafka',
    address: `${HOST}:${port}`,
    process: new GuardedProcess({
      name: 'Kafka',
      command: 'java',
      args: [...java, 'kafka.Kafka', properties],
      logFile: join(folder, 'kafka.log'),
      pidFile: join(folder, 'kafka.pid'),
      stopSignal: 'SIGTERM',
    }),
    ping: () => describeCluster(port),
    startTimeoutMs: 90_000,
  });
}

export function newClusterId(): string {
  // StorageTool takes an id that begins with a dash, as one in 64 would, for an option.
  return randomBytes(16).toString('base64url').replace(/^-/, '_');
}

function serverProperties(data: string, port: number, controllerPort: number) {
  return {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@${HOST}:${controllerPort}`,
    listeners: `PLAINTEXT://${HOST}:${port},CONTROLLER://${HOST}:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://${HOST}:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': data,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    // The relay creates its topic itself, with the partitions it needs.
    'auto.create.topics.enable': false,
    'num.network.threads': 2,
    'num.io.threads': 2,
    'log.cleaner.dedupe.buffer.size': 2 ** 21,
    // After a crash the broker may come back as soon as its old session has expired.
    'broker.session.timeout.ms': 3_000,
    'broker.heartbeat.interval.ms': 500,
  };
}

async function describeCluster(port: number): Promise<void> {
  const kafka = new Kafka({
    brokers: [`${HOST}:${port}`],
    clientId: 'payment-ledger-stack',
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1_000,
    requestTimeout: 2_000,
    retry: { retries: 0 },
  });
  const { brokers } = await withAdmin(kafka, (admin) => admin.describeCluster());
  if (brokers.length === 0) throw new Error('The broker has not joined its cluster yet');
}

function javaVersion(): number | undefined {
  if (which('java') === undefined) return undefined;
  // openjdk 17.0.15 2025-04-15; Java 8 and a stub without a Java fail.
  const { stdout } = spawnSync('java', ['--version'], { encoding: 'utf8' });
  const major = /^\S+ (\d+)/.exec(stdout)?.[1];
  return major === undefined ? undefined : Number(major);
}
