import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findPrometheus, type Prometheus, promtool, startPrometheus } from '../support/prometheus.ts';
import { type ApiProcess, createSystem, type System } from '../support/system.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string }[];
}

const dashboard: { panels: Panel[] } = JSON.parse(read('deploy/grafana/payment-ledger.json'));
const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => [title, expr.replaceAll('$__rate_interval', '1m')] as const),
);

/** Names and runbook links in the order of rules.yml. */
const alerts = [...read('deploy/prometheus/rules.yml').matchAll(/- alert: (\w+)$[\s\S]*?runbook_url: (\S+)/gm)];

test('every alert has its section in the runbook, and the runbook no other', () => {
  const headings = [...read('docs/runbook.md').matchAll(/^### (\w+)$/gm)].map(([, heading]) => heading!);
  expect(headings).toEqual(alerts.map(([, name]) => name));
  expect(alerts.map(([, , link]) => link)).toEqual(headings.map((name) => `docs/runbook.md#${name.toLowerCase()}`));
});

test('the dashboard has its four rows', () => {
  const rows = dashboard.panels.filter(({ type }) => type === 'row').map(({ title }) => title);
  expect(rows).toEqual(['Callers', 'Payments', 'Ledger', 'Relay']);
});

const programs = await findPrometheus();
if (typeof programs === 'string') console.warn(`SKIPPED: dashboard and alerts were not tested: ${programs}`);

describe.skipIf(typeof programs === 'string')('with a real Prometheus', () => {
  const installed = programs as Exclude<typeof programs, string>;
  let system: System;
  let prometheus: Prometheus;

  beforeAll(async () => {
    system = await createSystem();
    await system.database.query(`
      insert into event_audits
        (previous_id, audited_at, topic, audited_to, offsets, retained_since, payments_audited, payments_unverifiable, orphaned)
      values (null, now(), 'a', '0199b2a3-d3ff-0000-0000-000000000000', '{}', '{}', 9, 0, '{}')`);
    const api = await system.startApi();
    const relay = await system.startRelay({ RECONCILE_EVERY_MS: '1000' });
    prometheus = await startPrometheus(installed, {
      'payment-ledger-api': String(api.ready['metricsAddress']),
      'payment-ledger-relay': String(relay.ready['metrics']),
    });
    const until = Date.now() + 8_000;
    while (Date.now() < until) await callEverything(api);
  });
  afterAll(async () => {
    await prometheus?.stop();
    await system?.close();
  });

  test('promtool finds no fault with the rules, and their unit tests pass', async () => {
    for (const config of ['prometheus.yml', 'compose.yml']) {
      expect(await promtool(installed, 'check', 'config', config)).toContain(`${alerts.length} rules found`);
    }
    const tests = read('deploy/prometheus/rules.test.yml');
    for (const [, name] of alerts) expect(tests).toContain(`name: "${name}: `);
    expect(await promtool(installed, 'test', 'rules', 'rules.test.yml')).toContain('SUCCESS');
  });

  test.each(queries)('the panel "%s" has data: %s', async (_, query) => {
    await expect.poll(() => numbers(query), { timeout: 30_000, interval: 500 }).not.toEqual([]);
  });

  test('every rule has data, and none fires of those that name something wrong with money', async () => {
    const rules = await prometheus.alerts();
    expect(rules.map(({ name }) => name).sort()).toEqual(alerts.map(([, name]) => name).sort());
    for (const { name, query } of rules) {
      const [, observed] = /^([\s\S]*) [<>] [\d.e+]+$/.exec(query) ?? [];
      if (observed === undefined) throw new Error(`The expression of ${name} does not end with a threshold`);
      await expect.poll(() => numbers(observed), { timeout: 30_000, interval: 500, message: name }).not.toEqual([]);
    }
    const firing = async () => (await prometheus.alerts()).filter(({ state }) => state === 'firing');
    const wrong = ['BooksWrong', 'EventsMissing', 'EventsOrphaned', 'ApiDown', 'RelayDown', 'InternalErrors'];
    expect((await firing()).filter(({ name }) => wrong.includes(name.replace('PaymentLedger', '')))).toEqual([]);
    expect((await prometheus.alerts()).filter(({ lastError }) => lastError)).toEqual([]);
  });

  test('an alert fires on what a process shows, and ends with it', async () => {
    await system.database.query(`
      insert into outbox_dead_letters
        (shard, position, id, aggregatetype, aggregateid, type, payload, headers, created_at, reason)
      values (0, 1, gen_random_uuid(), 'payment', 'acc-blocked', 'payment.authorized.v1', '{}', '{}', now(), 'rejected')`);
    const state = async () =>
      (await prometheus.alerts()).find(({ name }) => name === 'PaymentLedgerDeadLetters')?.state;
    await expect.poll(state, { timeout: 30_000, interval: 500 }).toBe('firing');
    await system.database.query('delete from outbox_dead_letters');
    await expect.poll(state, { timeout: 30_000, interval: 500 }).toBe('inactive');
  });

  /** What a query returns now, without what is no number. */
  async function numbers(query: string): Promise<number[]> {
    return (await prometheus.query(query)).map(({ value }) => value).filter((value) => !Number.isNaN(value));
  }

  /** Calls of every kind that queries ask for, and some that fail. */
  async function callEverything({ client }: ApiProcess): Promise<void> {
    const [payer, payee] = [`payer-${randomUUID()}`, `payee-${randomUUID()}`];
    await client.openFunded(payer, 1_000n);
    await client.open(payee);
    const request = { payerAccountId: payer, payeeAccountId: payee, amountCents: 1n, idempotencyKey: randomUUID() };
    const { paymentId } = await client.authorize(request);
    await Promise.allSettled([
      client.authorize(request),
      client.authorize({ ...request, amountCents: 2n }),
      client.authorize({ ...request, idempotencyKey: randomUUID(), amountCents: 1_000_000n }),
      client.payment(paymentId),
      client.balance(payer),
      client.balance('nobody'),
    ]);
  }
});
