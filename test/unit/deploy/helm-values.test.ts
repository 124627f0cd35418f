import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { variablesOf } from '../../support/variables.ts';

const ROOT = join(import.meta.dirname, '../../..');
const CHART = join(ROOT, 'deploy/helm/payment-ledger');
const read = (file: string) => parse(readFileSync(join(CHART, file), 'utf8'));

interface Given {
  readonly config?: Readonly<Record<string, unknown>>;
  readonly secrets?: Readonly<Record<string, unknown>>;
}

test('the chart and the package have one version', () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  expect(read('Chart.yaml')).toMatchObject({ version, appVersion: version });
});

test('the chart knows how many shards the migrations make', () => {
  const outbox = readFileSync(join(ROOT, 'migrations/0003_outbox.sql'), 'utf8');
  const [, last] = /insert into outbox_shards \(shard\) select generate_series\(0, (\d+)\)/.exec(outbox)!;
  expect(read('values.yaml').relay.shards).toBe(Number(last) + 1);
});

describe.each(['values-small.yaml', 'values-large.yaml'])('%s', (file) => {
  test('gives each process only variables that it reads', () => {
    const { api, relay, migrate } = variablesOf();
    const values = read(file) as Given & Readonly<Record<'api' | 'relay' | 'migrate', Given>>;
    const names = ({ config, secrets }: Given) => [...Object.keys(config ?? {}), ...Object.keys(secrets ?? {})];
    for (const [given, known] of [
      [values, new Set([...api].filter((name) => relay.has(name)))],
      [values.api, api],
      [values.relay, relay],
      [values.migrate, migrate],
    ] as const) {
      expect(names(given).filter((name) => !known.has(name))).toEqual([]);
    }
  });

  test('has no secret in it', () => {
    const values = readFileSync(join(CHART, file), 'utf8');
    expect(values).not.toMatch(/^\s+\w*(PASSWORD|URL|TOKEN|KEY): (?!\{ name: |https:\/\/login\.example)/m);
  });
});
