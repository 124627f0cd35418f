import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { replay } from '../../src/app/replay.ts';
import { withAdmin } from '../../src/infra/kafka/client.ts';
import { postgresHistory } from '../../src/infra/postgres/outbox/account-history.ts';
import { postgresReplayOutbox } from '../../src/infra/postgres/outbox/replay.ts';
import { unpackedPackages } from '../../tools/debian-package.ts';
import { cacheFolder, which } from '../../tools/stack/cache.ts';
import { type ConsumerProcess, startConsumer } from '../support/consumer-process.ts';
import { readTopic, testKafka } from '../support/relay.ts';
import { type ApiProcess, createSystem, type System } from '../support/system.ts';

// Consumers that are not written in TypeScript, where their tools are available.

const ACCOUNTS = ['acc-001', 'acc-002', 'acc-003', 'acc-004'];
const TIMEOUT_MS = 180_000;

const kcat = await findKcat();

let system: System;
let api: ApiProcess;

beforeAll(async () => {
  system = await createSystem();
  await system.startRelay();
  api = await system.startApi();
  for (const account of ACCOUNTS) await api.client.openFunded(account, 1_000n);
});
afterAll(() => system?.close());

function pay(count: number) {
  const one = (n: number) =>
    api.client.authorize({
      payerAccountId: ACCOUNTS[n % 4]!,
      payeeAccountId: ACCOUNTS[(n + 1 + (n % 3)) % 4]!,
      amountCents: BigInt(1 + (n % 9) * 50),
    });
  return Promise.all(Array.from({ length: count }, (_, n) => one(n)));
}

function replayAll(): Promise<number> {
  const past = { kind: 'TIME', from: new Date(0), to: new Date(Date.now() + 60_000) } as const;
  const pool = system.database.application;
  return replay(postgresHistory(pool), postgresReplayOutbox(pool), past, () => undefined);
}

describe.skipIf(which('python3') === undefined)('the Python consumer (skipped where there is no python3)', () => {
  const script = join(import.meta.dirname, '../../examples/consumer-python');
  const group = `views-${randomUUID()}`;
  let python: string;
  let folder: string;
  const consumers: ConsumerProcess[] = [];

  beforeAll(async () => {
    const venv = join(cacheFolder(process.env), 'python-consumer');
    python = join(venv, 'bin/python');
    await promisify(execFile)('python3', ['-m', 'venv', venv]);
    const requirements = join(script, 'requirements.txt');
    await promisify(execFile)(python, ['-m', 'pip', 'install', '--quiet', '--requirement', requirements]);
    folder = await mkdtemp(join(tmpdir(), 'payment-ledger-python-consumer-'));
  });
  afterAll(async () => {
    await Promise.all(consumers.map((consumer) => consumer.stop('SIGKILL')));
    if (folder !== undefined) await rm(folder, { recursive: true });
  });

  function start(): ConsumerProcess {
    const settings = { brokers: inject('kafkaBrokers'), topic: system.topic, group, database: join(folder, 'views') };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    const consumer = startConsumer(python, [join(script, 'main.py'), ...args], { PYTHONDONTWRITEBYTECODE: '1' });
    consumers.push(consumer);
    return consumer;
  }

  function query(sql: string): unknown[] {
    const database = new DatabaseSync(join(folder, 'views'), { timeout: 10_000 });
    try {
      // Spread, as its rows have no prototype.
      return database
        .prepare(sql)
        .all()
        .map((row) => ({ ...row }));
    } finally {
      database.close();
    }
  }

  /** Resolves when the group has committed every record of the topic. */
  async function untilCaughtUp(records: number): Promise<void> {
    const left = () =>
      withAdmin(testKafka(), async (admin) => {
        const ends = await admin.fetchTopicOffsets(system.topic);
        const [committed] = await admin.fetchOffsets({ groupId: group, topics: [system.topic] });
        const sum = (of: readonly { offset: string }[]) =>
          of.reduce((all, { offset }) => all + Math.max(0, Number(offset)), 0);
        return [sum(ends), sum(committed?.partitions ?? [])];
      });
    await expect.poll(left, { timeout: TIMEOUT_MS, interval: 500 }).toEqual([records, records]);
  }

  async function expectTruth(): Promise<void> {
    const truth = await system.database.query(
      `select account_id, currency, available_cents::float8 as balance_cents, version::float8 as version
       from account_balances order by account_id`,
    );
    expect(query('select * from account_views order by account_id')).toEqual(truth);
    expect(query('select * from missing_versions')).toEqual([]);
  }

  test('has every balance right after it was killed, after a replay and without its offsets', async () => {
    const first = start();
    await expect.poll(() => first.lines.join('\n'), { timeout: TIMEOUT_MS }).toMatch(/\d+ events/);
    await Promise.all([pay(200), first.stop('SIGKILL')]);
    const second = start();
    await pay(50);
    const [{ count }] = (await system.database.query(
      'select (select count(*) from payments) + (select count(*) from account_changes) as count',
    )) as [{ count: bigint }];
    expect(await replayAll()).toBe(Number(count));
    const records = 2 * Number(count);
    await untilCaughtUp(records);
    await expectTruth();
    expect(await second.stop('SIGTERM')).toBe(0);

    const reset = () =>
      withAdmin(testKafka(), (admin) => admin.resetOffsets({ groupId: group, topic: system.topic, earliest: true }))
        .then(() => 'reset')
        .catch(String);
    await expect.poll(reset, { timeout: TIMEOUT_MS, interval: 500 }).toBe('reset');
    const third = start();
    await untilCaughtUp(records);
    expect(third.lines.join('\n')).not.toMatch(/^[1-9]\d* events/m);
    await expectTruth();
    expect(query('select count(*) as seen from seen_events')).toEqual([{ seen: Number(count) }]);
    expect(await third.stop('SIGTERM')).toBe(0);
  });
});

describe.skipIf(typeof kcat === 'string')(`kcat${typeof kcat === 'string' ? ` (skipped: ${kcat})` : ''}`, () => {
  test('shows what docs/events.md says it does', async () => {
    await pay(8);
    await replayAll();
    const pending = () => system.database.query('select from outbox');
    await expect.poll(pending, { timeout: TIMEOUT_MS, interval: 500 }).toEqual([]);
    const ends = await withAdmin(testKafka(), (admin) => admin.fetchTopicOffsets(system.topic));
    const sent = await readTopic(
      system.topic,
      ends.reduce((sum, { offset }) => sum + Number(offset), 0),
    );
    const ofPayer = sent.filter(({ key }) => key === 'acc-001');
    const one = ofPayer.find(({ headers }) => headers['ce_type']!.startsWith('payment.'))!;

    const text = await readFile('docs/events.md', 'utf8');
    const block = /^## Looking at the topic$[\s\S]*?^```sh\n([\s\S]*?)^```$/m.exec(text)![1]!;
    const lines = block.split('\n').filter((line) => line.startsWith('kcat '));
    // The second never ends.
    const [all, _, payer, payment, replayed, record, since] = await Promise.all(
      lines.map((line) => (line.includes('-o end') ? [] : shown(adapted(line)))),
    );

    const where = ({ partition, offset }: { partition: number; offset: bigint }) => `${partition}/${offset}`;
    expect(all!.filter((line) => line.startsWith('{'))).toHaveLength(sent.length);
    expect(payer!.map((line) => line.split('\t')[1]!).sort()).toEqual(ofPayer.map(({ value }) => value).sort());
    const ofPayment = sent.filter(({ eventId }) => eventId === one.eventId);
    expect(payment!.map((line) => line.split(' ')[0]!)).toEqual(ofPayment.map(where));
    const marked = sent.filter(({ headers }) => headers['ce_replayed'] === 'true');
    expect(marked.length).toBeGreaterThan(0);
    expect(replayed!.map((line) => line.split(' ')[0]!).sort()).toEqual(marked.map(where).sort());
    expect(record).toEqual([expect.stringContaining(`ce_id=${one.eventId}`), one.value]);
    expect(since!.map((line) => line.split(' ')[0]!).sort()).toEqual(sent.map(where).sort());

    /** The documented line, for what is on this topic. */
    function adapted(line: string): string {
      return line
        .replace('payment.events.v1', system.topic)
        .replace(/(?<=ce_subject=)\w+/, one.eventId)
        .replace(/-p \d+ -o \d+/, `-p ${one.partition} -o ${one.offset}`);
    }
  });

  async function shown(line: string): Promise<string[]> {
    const { folder, libraries } = kcat as Exclude<typeof kcat, string>;
    const { stdout } = await promisify(execFile)('sh', ['-c', line], {
      env: {
        PATH: `${folder}${delimiter}${process.env['PATH']}`,
        KAFKA_BROKERS: inject('kafkaBrokers'),
        ...(libraries !== undefined && { LD_LIBRARY_PATH: libraries }),
      },
      maxBuffer: 2 ** 26,
    });
    return stdout.split('\n').filter((each) => each !== '');
  }
});

/** Where kcat is and, if the system does not have them, its libraries. A text says why there is none. */
async function findKcat(): Promise<{ folder: string; libraries?: string } | string> {
  const installed = which('kcat');
  if (installed !== undefined) return { folder: dirname(installed) };
  const unpacked = await unpackedPackages('kcat', ['kcat', 'librdkafka1', 'libyajl2']);
  if (typeof unpacked === 'string') return unpacked;
  const architecture = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  return {
    folder: join(unpacked.folder, 'usr/bin'),
    libraries: join(unpacked.folder, `usr/lib/${architecture}-linux-gnu`),
  };
}
