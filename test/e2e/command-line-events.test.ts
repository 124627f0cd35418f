import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { shardOf } from '../../src/app/domain/shard.ts';
import { filesIn } from '../support/callers.ts';
import { childEnvironment } from '../support/child-environment.ts';
import { type Ended, runLedger, runLedgerHere } from '../support/command-line.ts';
import { createTopic, listGroups, readTopic } from '../support/relay.ts';
import { type ApiProcess, createSystem, type System } from '../support/system.ts';

// A command that is a process of its own loads in a second, and on a busy machine in many.
const LIMIT_MS = 300_000;

let system: System;
let api: ApiProcess;
let variables: Record<string, string>;

const ledger = (...args: string[]) => runLedgerHere(args, variables);
const lines = ({ stdout }: Ended) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
const pay = (payerAccountId: string, payeeAccountId: string, amountCents = 1n) =>
  api.client.authorize({ payerAccountId, payeeAccountId, amountCents });

async function allIds(): Promise<string[]> {
  const rows = await system.database.query<{ id: string }>(
    'select payment_id::text as id from payments union all select change_id::text from account_changes order by 1',
  );
  return rows.map(({ id }) => id);
}

beforeAll(async () => {
  system = await createSystem();
  await system.startRelay();
  api = await system.startApi();
  variables = {
    DATABASE_URL: system.database.url,
    KAFKA_BROKERS: inject('kafkaBrokers'),
    KAFKA_TOPIC: system.topic,
    CE_SOURCE: '/test-ledger',
  };
  await api.client.openFunded('acc-a', 1_000n);
  await api.client.openFunded('acc-b', 1_000n);
  await pay('acc-a', 'acc-b', 10n);
  await pay('acc-b', 'acc-a', 5_000n);
  await readTopic(system.topic, 7);
}, LIMIT_MS);
afterAll(() => system?.close());

describe('events tail', { timeout: LIMIT_MS }, () => {
  const tail = (...args: string[]) => ledger('events', 'tail', '--from-beginning', '--until-end', ...args);

  test('shows what is on the topic, decoded, and leaves no group behind', async () => {
    // As a process, which must end by itself.
    const all = await runLedger(['events', 'tail', '--from-beginning', '--until-end', '--json'], variables);
    expect(all).toMatchObject({ code: 0, stderr: '' });
    expect(lines(all)).toHaveLength(7);
    expect((await listGroups()).filter(({ groupId }) => groupId.startsWith('payment-ledger-tail-'))).toEqual([]);

    const [declined, ...others] = lines(await tail('--type', 'declined', '--json'));
    expect(others).toEqual([]);
    expect(declined).toEqual({
      partition: shardOf('acc-b', 16),
      offset: expect.stringMatching(/^\d+$/),
      sentAt: expect.stringMatching(/Z$/),
      key: 'acc-b',
      id: expect.stringMatching(/^[0-9A-Z]{26}$/),
      type: 'payment.declined.v1',
      source: '/payment-ledger',
      time: expect.stringMatching(/Z$/),
      replayed: false,
      data: expect.objectContaining({ payerAccountId: 'acc-b', amountCents: '5000' }),
    });
    const line = await tail('--payment', declined.id);
    expect(line.stdout).toMatch(/payment\.declined\.v1 {2}\S+ {2}acc-b -> acc-a 5000 RUB {2}INSUFFICIENT_FUNDS {2}\(/);
    expect((await tail('--account', 'acc-a', '--type', 'authorized')).stdout.trim().split('\n')).toHaveLength(2);
    const opened = await tail('--account', 'acc-a', '--type', 'opened');
    expect(opened.stdout).toMatch(/account\.opened\.v1 {2}\S+ {2}acc-a at 1: ACTIVE, overdraft limit 0 RUB {2}\(/);
    expect((await tail('--account', 'acc-none')).stdout).toBe('');
    expect((await ledger('events', 'tail', '--from', '2100-01-01T00:00:00Z', '--until-end')).stdout).toBe('');
  });

  test('goes on until it has seen enough, or until Ctrl-C', async () => {
    for (const args of [['--count', '1'], []]) {
      const child = spawn(process.execPath, ['src/cli/main.ts', 'events', 'tail', '--json', ...args], {
        env: { ...childEnvironment, ...variables },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let out = '';
      child.stdout.on('data', (chunk) => {
        out += chunk;
        if (args.length === 0) child.kill('SIGINT');
      });
      const ended = once(child, 'exit');
      // It shows what comes after it has started, which is some time from now.
      while (child.exitCode === null && child.signalCode === null) {
        await pay('acc-a', 'acc-b');
        await new Promise((resume) => setTimeout(resume, 200));
      }
      expect(await ended).toEqual([0, null]);
      const [first, ...more] = out.trim().split('\n');
      expect(JSON.parse(first!)).toMatchObject({ key: 'acc-a', data: { amountCents: '1' } });
      if (args.length > 0) expect(more).toEqual([]);
    }
  });
});

describe('events export', { timeout: LIMIT_MS }, () => {
  test('and the topic from its offsets on have each payment, though payments go on', async () => {
    const path = filesIn({ taken: 'as it was' });
    let exported: Ended | undefined;
    const exporting = runLedger(['events', 'export', '--output', path('new')], variables).then((ended) => {
      exported = ended;
    });
    while (exported === undefined) await Promise.all([pay('acc-a', 'acc-b'), pay('acc-b', 'acc-a')]);
    await exporting;
    await pay('acc-a', 'acc-b');
    expect(exported).toMatchObject({ code: 0, stdout: '' });

    const [first, ...rest] = readFileSync(path('new'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const { topic, partitions } = first.snapshot;
    const end = rest.pop();
    expect({ topic, end }).toEqual({ topic: system.topic, end: { end: { events: rest.length } } });
    expect(partitions.map(({ partition }: { partition: number }) => partition)).toEqual([...Array(16).keys()]);
    expect(rest.length).toBeGreaterThan(4);
    expect(rest[0]).toMatchObject({ specversion: '1.0', source: '/test-ledger', partitionkey: 'external-RUB' });
    expect(rest[0]).toMatchObject({
      type: 'account.opened.v1',
      subject: 'external-RUB',
      data: { changeId: rest[0].id },
    });
    const payments = rest.filter(({ type }) => type.startsWith('payment.'));
    expect(payments[0].data.paymentId).toBe(payments[0].id);

    const count = (await allIds()).length;
    const all = await readTopic(system.topic, count);
    const later = all.filter(({ partition, offset }) => offset >= BigInt(partitions[partition].offset));
    // Otherwise the file would prove nothing: it is what has the events before the offsets.
    expect(later.length).toBeLessThan(count);
    const ids = new Set([...rest.map(({ id }) => id), ...later.map(({ eventId }) => eventId)]);
    expect(ids.size).toBe(count);

    const again = await ledger('events', 'export', '--output', path('taken'));
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('EEXIST') });
    expect(readFileSync(path('taken'), 'utf8')).toBe('as it was');
  });

  test('writes to stdout, from a time on', async () => {
    const { code, stdout, stderr } = await ledger('events', 'export', '--since', '2100-01-01T00:00:00Z');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '0 events written\n' });
    expect(stdout.trim().split('\n')).toHaveLength(2);
  });
});

describe('replay --to-topic', { timeout: LIMIT_MS }, () => {
  const replay = (...args: string[]) => ledger('replay', '--account', 'acc-b', ...args);

  test('sends to another topic, by its own partitions, and nothing to the first', async () => {
    const topic = await createTopic({}, 3);
    const before = await readTopic(system.topic, (await allIds()).length);
    expect(await replay('--to-topic', topic)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+ events are on topic/),
    });
    const versions = await system.database.query(
      `select from ledger_entries where account_id = 'acc-b'
       union all select from account_changes where account_id = 'acc-b'`,
    );
    const events = await readTopic(topic, versions.length);
    expect(events).toHaveLength(versions.length);
    for (const { key, partition, headers, eventId, type } of events) {
      expect(partition).toBe(shardOf(key, 3));
      expect(headers).toMatchObject({
        ce_replayed: 'true',
        ce_source: '/test-ledger',
        ce_subject: type.startsWith('account.') ? 'acc-b' : eventId,
        ce_type: type,
      });
    }
    expect(new Set(events.map(({ eventId }) => eventId)).size).toBe(versions.length);
    const own = events.flatMap(({ key, authorized }) =>
      key === 'acc-b' && authorized ? [authorized.payer!.version] : [],
    );
    expect(own).toEqual(own.toSorted((a, b) => Number(a - b)));
    expect(await readTopic(system.topic, before.length)).toHaveLength(before.length);
    await expect.poll(() => system.database.query('select from outbox')).toEqual([]);
  });

  test('knows the topic of all consumers and topics that there are not', async () => {
    expect(await replay('--to-topic', system.topic)).toMatchObject({ code: 2, stdout: '' });
    expect(await replay('--to-topic', 'no.such.topic')).toMatchObject({ code: 3, stdout: '' });
  });
});
