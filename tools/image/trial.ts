import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AccountType } from '../../src/gen/payment/v1/account.ts';
import { PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import { LedgerClient } from '../client.ts';
import { consumeEvents } from '../events.ts';
import type { OnProgress } from '../stack/cache.ts';
import type { GuardedProcess } from '../stack/guarded-process.ts';
import { createApplicationLogin } from '../stack/postgres.ts';
import type { BuiltImage } from './build.ts';
import { type Confinement, confinementOf, imageProcess, runInImage, type Secrets, writeSecrets } from './container.ts';

const READY_WITHIN_MS = 180_000;
const EVENT_WITHIN_MS = 180_000;

/** The servers that the processes of the image work on. */
export interface TrialServers {
  /** As the owner of the tables, and as a member of the application role. */
  readonly ownerUrl: string;
  readonly applicationUrl: string;
  readonly redisUrl: string;
  readonly kafkaBrokers: string;
  readonly topic: string;
}

export interface TrialResult {
  /** What the kernel says of the API and of the relay. */
  readonly confinements: readonly Confinement[];
  readonly paymentId: string;
  /** The payment's event, as it came out of Kafka. */
  readonly eventType: string;
  /** What `ledger verify` printed at the end. */
  readonly verified: string;
}

interface Running {
  readonly process: GuardedProcess;
  /** The log line that said it was ready. */
  readonly ready: Readonly<Record<string, string>>;
  /** Stops it, and throws unless it ended in good order. */
  stop(): Promise<void>;
}

/**
 * Runs migrations, API, relay and the command `ledger` from the image, as its user and on
 * a root that cannot be written to, with secrets from files; sends a payment through and
 * waits for its event. Throws where something fails. folder takes logs and secrets.
 */
export async function tryImage(
  image: BuiltImage,
  servers: TrialServers,
  folder: string,
  onProgress: OnProgress,
): Promise<TrialResult> {
  const owner = await writeSecrets(join(folder, 'owner'), { DATABASE_URL: servers.ownerUrl });
  onProgress('migrating from the image');
  await runInImage(image, owner, {}, 'ledger', 'migrate');
  await createApplicationLogin(servers.ownerUrl);

  const { applicationUrl: DATABASE_URL, redisUrl: REDIS_URL } = servers;
  const secrets = await writeSecrets(join(folder, 'application'), { DATABASE_URL, REDIS_URL });
  const kafka = { KAFKA_BROKERS: servers.kafkaBrokers, KAFKA_TOPIC: servers.topic };
  const settings = { REQUIRE_LEAST_PRIVILEGE: '1', METRICS_PORT: '0' };
  const running: Running[] = [];
  const start = async (name: 'api' | 'relay', command: string[], env: Record<string, string>) => {
    onProgress(`starting the ${name} from the image`);
    running.push(await startProcess(image, secrets, { name, command, env, folder }));
    return running.at(-1)!;
  };
  try {
    const api = await start('api', [...image.config.Cmd], { ...settings, GRPC_PORT: '0' });
    const relay = await start('relay', ['node', 'src/relay/main.ts'], { ...settings, ...kafka });
    for (const address of [api.ready['metricsAddress']!, relay.ready['metrics']!]) {
      await untilReady(address);
      // What docker-compose.yml asks by.
      await runInImage(image, secrets, {}, 'healthy', address.split(':').at(-1)!);
    }
    const confinements = [await confinementOf(api.process.pid), await confinementOf(relay.process.pid)];
    onProgress('sending a payment through');
    const payment = await payThrough(api.ready['address']!, servers);
    onProgress('verifying the books and the events from the image');
    const verified = await runInImage(image, secrets, kafka, 'ledger', 'verify', '--events');
    for (const each of running.splice(0).toReversed()) await each.stop();
    return { confinements, ...payment, verified };
  } finally {
    for (const each of running) await each.process.stop();
  }
}

async function startProcess(
  image: BuiltImage,
  secrets: Secrets,
  options: { name: 'api' | 'relay'; command: string[]; env: Record<string, string>; folder: string },
): Promise<Running> {
  const { name, command, env, folder } = options;
  const logFile = join(folder, `${name}.log`);
  const process = imageProcess(image, secrets, { name, command, env, logFile });
  await process.start();
  const deadline = Date.now() + READY_WITHIN_MS;
  for (;;) {
    const lines = existsSync(logFile) ? (await readFile(logFile, 'utf8')).split('\n') : [];
    const line = lines.slice(0, -1).find((text) => text.includes(`"${name} ready"`));
    if (line !== undefined) {
      const stop = async () => {
        await process.stop();
        if (!(await process.printed(`"${name} stopped"`))) {
          throw new Error(`The ${name} did not stop in good order:\n${await process.lastLines()}`);
        }
      };
      return { process, ready: JSON.parse(line), stop };
    }
    if (!process.running || Date.now() > deadline) {
      const said = await process.lastLines();
      await process.stop();
      throw new Error(`The ${name} from the image is not ready:\n${said}`);
    }
    await new Promise((resume) => setTimeout(resume, 100));
  }
}

/** Waits until health and readiness are answered well; a process may be busy with its first work. */
async function untilReady(metricsAddress: string): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS;
  for (const path of ['healthz', 'readyz', 'metrics']) {
    for (;;) {
      const response = await fetch(`http://${metricsAddress}/${path}`);
      const body = await response.text();
      if (response.ok) break;
      if (Date.now() > deadline) throw new Error(`/${path} answers ${response.status}: ${body}`);
      await new Promise((resume) => setTimeout(resume, 100));
    }
  }
}

/** Pays from outside, and waits for the event. */
async function payThrough(address: string, { kafkaBrokers, topic }: TrialServers) {
  const client = new LedgerClient(address);
  const consumer = await consumeEvents(kafkaBrokers, topic);
  try {
    await client.open('image-outside', { type: AccountType.ACCOUNT_TYPE_EXTERNAL });
    await client.open('image-customer');
    const request = { payerAccountId: 'image-outside', payeeAccountId: 'image-customer', amountCents: 4_200n };
    const { status, paymentId } = await client.authorize(request);
    if (status !== PaymentStatus.PAYMENT_STATUS_AUTHORIZED) throw new Error(`The payment has status ${status}`);
    const ofPayment = ({ authorized }: { authorized?: { paymentId: string } }) => authorized?.paymentId === paymentId;
    await consumer.until((events) => events.some(ofPayment), EVENT_WITHIN_MS);
    return { paymentId, eventType: consumer.events.find(ofPayment)!.type };
  } finally {
    await consumer.close();
    client.close();
  }
}
