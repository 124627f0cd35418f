import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ScrapedMetric, scrape } from '../support/metrics.ts';
import { createSystem, type System } from '../support/system.ts';

let system: System;
const addresses: Record<string, string> = {};

beforeAll(async () => {
  system = await createSystem();
  // What an audit tells before there was one is nothing.
  await system.database.query(`
    insert into event_audits
      (previous_id, audited_at, topic, audited_to, offsets, retained_since, payments_audited, payments_unverifiable, orphaned)
    values (null, now(), 'a', '0199b2a3-d3ff-0000-0000-000000000000', '{}', '{}', 9, 8, '{z}')`);
  const api = await system.startApi();
  const relay = await system.startRelay({ RECONCILE_EVERY_MS: '1000' });
  addresses['API'] = String(api.ready['metricsAddress']);
  addresses['Relay'] = String(relay.ready['metrics']);
});
afterAll(() => system?.close());

/** Name, type and labels in one line. */
type Form = string;

/** The tables of docs/metrics.md, by their headings. */
function documented(heading: string): Form[] {
  const text = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`docs/metrics.md has no section ${heading}`);
  const rows = section.matchAll(/^\| `(\w+)` \| (\w+) \| (.*?) ?\| (.+) \|$/gm);
  return [...rows].map(([, name, type, labels]) => {
    const names = [...labels!.matchAll(/`(\w+)`/g)].map(([, label]) => label!);
    return form(name!, type!, names);
  });
}

function form(name: string, type: string, labels: Iterable<string>): Form {
  return `${name} ${type} {${[...labels].sort().join(', ')}}`;
}

/** prom-client's own are its to document. */
const isOurs = ({ name }: ScrapedMetric) => !/^(process|nodejs)_/.test(name);

test.each(['API', 'Relay'])('docs/metrics.md has every metric of the %s, and no others', async (processName) => {
  const ours = async () => [...(await scrape(addresses[processName]!)).values()].filter(isOurs);
  // Without a value nobody knows a metric's labels, and some have none before the first job is done.
  const withoutValue = async () => (await ours()).filter(({ values }) => values.size === 0).map(({ name }) => name);
  await expect.poll(withoutValue, { timeout: 50_000, interval: 500 }).toEqual([]);
  const shown = (await ours()).map(({ name, type, labels }) => form(name, type, labels));
  expect(shown.sort()).toEqual([...documented('Both processes'), ...documented(processName)].sort());
});

test.each(['API', 'Relay'])('the %s shows the delay of its event loop', async (processName) => {
  const metrics = await scrape(addresses[processName]!);
  expect(metrics.get('nodejs_eventloop_lag_p99_seconds')?.values.size).toBe(1);
});
