import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from 'kafkajs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kafkaAddress, loadRelayConfig } from '../../src/config.ts';
import { kafkaClient, withAdmin } from '../../src/infra/kafka/client.ts';
import { KafkaPublisher } from '../../src/infra/kafka/publisher.ts';
import { untilLeadersAnswer } from '../../src/infra/kafka/topic.ts';
import { loggedError } from '../../src/infra/log.ts';
import { consumeEvents } from '../../tools/events.ts';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { createAuthority } from '../support/certificates.ts';
import { childEnvironment } from '../support/child-environment.ts';
import { runLedgerHere } from '../support/command-line.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { ownRedisUrl } from '../support/own-redis.ts';
import { startRelay } from '../support/processes.ts';
import { OutboxWriter, SHARDS, silent } from '../support/relay.ts';
import { type SecureKafka, startSecureKafka, USERNAME } from '../support/secure-kafka.ts';

let kafka: SecureKafka;
let database: TestDatabase;
let folder: string;

beforeAll(async () => {
  [kafka, database] = await Promise.all([startSecureKafka(), createDatabase()]);
  folder = await mkdtemp(join(tmpdir(), 'payment-ledger-secrets-'));
});

afterAll(async () => {
  await Promise.all([kafka?.stop(), database?.close()]);
  await rm(folder, { recursive: true });
});

async function file(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `${content}\n`);
  return path;
}

/** What every process here is given. */
function environment(topic: string): Record<string, string> {
  return {
    ...childEnvironment,
    DATABASE_URL: applicationAddress(database.url),
    REDIS_URL: ownRedisUrl(),
    KAFKA_TOPIC: topic,
  };
}

/** The wire and who we are, by files, as secrets are mounted. */
async function saslSsl(mechanism: string, overrides: { ca?: string; password?: string } = {}) {
  const { ca = kafka.authority.cert, password = kafka.passwords[mechanism]! } = overrides;
  return {
    KAFKA_BROKERS: kafka.saslSsl,
    KAFKA_SSL: '1',
    KAFKA_SSL_CA_FILE: await file('ca.pem', ca),
    KAFKA_SASL_MECHANISM: mechanism,
    KAFKA_SASL_USERNAME: USERNAME,
    KAFKA_SASL_PASSWORD_FILE: await file(mechanism, password),
  };
}

async function clientCertificate() {
  const { cert, key } = kafka.authority.issue({ commonName: USERNAME });
  return {
    KAFKA_BROKERS: kafka.ssl,
    KAFKA_SSL: '1',
    KAFKA_SSL_CA_FILE: await file('ca.pem', kafka.authority.cert),
    KAFKA_SSL_CERT_FILE: await file('client.pem', cert),
    KAFKA_SSL_KEY_FILE: await file('client.key', key),
  };
}

test.each([
  ['SASL_SSL with PLAIN', () => saslSsl('PLAIN')],
  ['SASL_SSL with SCRAM-SHA-256', () => saslSsl('SCRAM-SHA-256')],
  ['SASL_SSL with SCRAM-SHA-512', () => saslSsl('SCRAM-SHA-512')],
  ['SSL with a client certificate', clientCertificate],
])('the relay publishes over %s, and events are audited over it', async (_, wire) => {
  const topic = `payment.events.${randomUUID()}`;
  const env = { ...environment(topic), ...(await wire()) };
  const [event] = await new OutboxWriter(database).write([`acc-${randomUUID()}`]);
  const relay = await startRelay({ ...env, LOG_LEVEL: 'trace' });
  const consumer = await consumeEvents(kafka.plaintext, topic);
  try {
    await consumer.until(({ length }) => length > 0);
    expect(consumer.events.map(({ eventId }) => eventId)).toEqual([event!.eventId]);
    expect(relay.log.join('\n')).not.toContain('planted');
  } finally {
    await Promise.all([consumer.close(), relay.stop()]);
  }
  // There are no payments, so the event is without one: that it is seen is what matters.
  const audit = await runLedgerHere(['verify', '--events'], env);
  expect(audit).toMatchObject({ code: 1, stdout: expect.stringContaining(event!.eventId) });
});

test('without the rights to look at the settings of the topic the relay says so and publishes', async () => {
  const topic = `payment.events.${randomUUID()}`;
  await withAdmin(kafkaClient({ brokers: [kafka.plaintext], clientId: 'test' }, silent), async (admin) => {
    await admin.createTopics({ topics: [{ topic, numPartitions: SHARDS }], waitForLeaders: false });
    await untilLeadersAnswer(admin, topic);
    const allowed = [AclOperationTypes.DESCRIBE, AclOperationTypes.READ, AclOperationTypes.WRITE].map((operation) => ({
      resourceType: AclResourceTypes.TOPIC,
      resourceName: topic,
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: `User:${USERNAME}`,
      host: '*',
      operation,
      permissionType: AclPermissionTypes.ALLOW,
    }));
    await admin.createAcls({ acl: allowed });
  });
  const [event] = await new OutboxWriter(database).write([`acc-${randomUUID()}`]);
  const env = { ...environment(topic), ...(await saslSsl('PLAIN')), KAFKA_RETENTION_MS: '86400000' };
  const relay = await startRelay(env);
  const consumer = await consumeEvents(kafka.plaintext, topic);
  try {
    await consumer.until(({ length }) => length > 0);
    expect(consumer.events.map(({ eventId }) => eventId)).toEqual([event!.eventId]);
    expect(relay.log.join('\n')).toMatch(
      /look at or set the topic's retention \((TOPIC|CLUSTER)_AUTHORIZATION_FAILED\)/,
    );
  } finally {
    await Promise.all([consumer.close(), relay.stop()]);
  }
});

const another = createAuthority();

/** What is wrong, the wire, and what the two clients make of it: the one for topics, and the one that sends. */
const WRONG: [string, () => Promise<Record<string, string>>, string, RegExp][] = [
  [
    'a wrong password (PLAIN)',
    () => saslSsl('PLAIN', { password: 'planted' }),
    'SASL PLAIN authentication failed',
    /SASL authentication failed/,
  ],
  [
    'a wrong password (SCRAM)',
    () => saslSsl('SCRAM-SHA-512', { password: 'planted' }),
    'SASL SCRAM SHA512 authentication failed',
    /SASL authentication failed/,
  ],
  [
    'another authority',
    () => saslSsl('PLAIN', { ca: another.cert }),
    'unable to verify the first certificate',
    /unable to verify the first certificate/,
  ],
  [
    'another name',
    async () => ({ ...(await saslSsl('PLAIN')), KAFKA_BROKERS: kafka.saslSsl.replace('localhost', '127.0.0.1') }),
    "does not match certificate's altnames",
    /does not match certificate's altnames/,
  ],
  [
    'no client certificate',
    async () => ({ ...(await clientCertificate()), KAFKA_SSL_CERT_FILE: '', KAFKA_SSL_KEY_FILE: '' }),
    'alert bad certificate',
    // With TLS 1.3 the broker rejects us after the handshake, and the client may see no more than the end.
    /alert bad certificate|Connection closed/,
  ],
  [
    'a listener without TLS',
    async () => ({ ...(await saslSsl('PLAIN')), KAFKA_BROKERS: kafka.plaintext }),
    'before secure TLS connection was established',
    /TLS handshake failed/,
  ],
];

test.each(WRONG)('the relay says what is wrong with %s, and no secret', async (_, wire, reason) => {
  const env = { ...environment(randomUUID()), METRICS_PORT: '0', LOG_LEVEL: 'trace', ...(await wire()) };
  const child = spawn(process.execPath, ['src/relay/main.ts'], { env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  try {
    const lines = () => output.split('\n').filter((line) => line.includes('waiting for Postgres and Kafka'));
    await expect.poll(lines).toContainEqual(expect.stringContaining(reason));
    expect(output).not.toContain('planted');
    expect(child.exitCode).toBe(null);
  } finally {
    child.kill('SIGKILL');
  }
});

// The relay sends with another client than it looks at topics with.
test.each(WRONG)(
  'the publisher is rejected with %s, and the log says why and no secret',
  async (_, wire, _topics, reason) => {
    const config = loadRelayConfig({ ...environment('none'), ...(await wire()) });
    const settings = { topic: 'none', source: '/test', ackTimeoutMs: 1_000, rebuildAfterMs: 10_000 };
    const publisher = new KafkaPublisher({ ...kafkaAddress(config), clientId: 'test' }, settings, silent);
    try {
      const failure = await publisher.ping().catch((error: unknown) => error);
      const logged = JSON.stringify(loggedError(failure));
      expect(logged).toMatch(reason);
      expect(logged).not.toContain('planted');
    } finally {
      await publisher.close();
    }
  },
);
