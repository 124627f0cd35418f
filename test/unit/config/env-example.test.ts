import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadApiConfig, loadRelayConfig } from '../../../src/config.ts';
import { variablesOf } from '../../support/variables.ts';

const EXAMPLE = readFileSync(join(import.meta.dirname, '../../../.env.example'), 'utf8');

const GIVEN = {
  DATABASE_URL: 'postgres://ledger_application:ledger@127.0.0.1:5432/payment_ledger',
  REDIS_URL: 'redis://127.0.0.1:6379',
  KAFKA_BROKERS: '127.0.0.1:9092',
};
/** Not set has a meaning of its own, which no value has. */
const WITHOUT_DEFAULT = ['KAFKA_RETENTION_MS'];

interface Line {
  readonly name: string;
  readonly value: string;
  readonly commentedOut: boolean;
}

/** The lines under each heading. NAME_FILE counts as NAME where NAME is a variable and NAME_FILE is none. */
function sections(): Readonly<Record<string, readonly Line[]>> {
  const known = new Set(Object.values(variablesOf()).flatMap((names) => [...names]));
  const found: Record<string, Line[]> = {};
  let heading = '';
  for (const line of EXAMPLE.split('\n')) {
    heading = /^# --- (.+?) -+$/.exec(line)?.[1] ?? heading;
    const [, hash, name, value] = /^(#?)([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    const plain = name.replace(/_FILE$/, '');
    const read = known.has(name) || !known.has(plain) ? name : plain;
    found[heading] = [...(found[heading] ?? []), { name: read, value, commentedOut: hash === '#' }];
  }
  return found;
}

describe('.env.example', () => {
  const { api, relay, migrate, commands, caller } = variablesOf();
  // Of METRICS_PORT the two have defaults of their own.
  const both = [...api].filter((name) => relay.has(name) && name !== 'METRICS_PORT');
  const besides = (names: Iterable<string>) => [...names].filter((name) => !both.includes(name));
  const found = sections();

  test.each([
    ['both', both],
    ['API', besides(api)],
    ['relay', besides(relay)],
    ['ledger migrate', besides(migrate)],
    ['ledger, where it calls the API', caller],
  ])('has under "%s" each variable that is read, and no other', (heading, names) => {
    expect(found[heading]?.map(({ name }) => name).toSorted()).toEqual([...names].toSorted());
  });

  test('needs no section for the commands that look at the database and Kafka', () => {
    expect([...commands].filter((name) => !api.has(name) && !relay.has(name))).toEqual([]);
  });

  test('shows defaults in the lines that are commented out, and addresses in the others', () => {
    const configs: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
      both: loadApiConfig(GIVEN),
      API: loadApiConfig(GIVEN),
      relay: loadRelayConfig(GIVEN),
    };
    for (const [heading, config] of Object.entries(configs)) {
      for (const { name, value, commentedOut } of found[heading]!) {
        if (name.startsWith('OTEL_') || WITHOUT_DEFAULT.includes(name)) continue;
        expect([name, commentedOut]).toEqual([name, !(name in GIVEN)]);
        expect([name, value]).toEqual([name, String(config[name] ?? '')]);
      }
    }
  });
});
