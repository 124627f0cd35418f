import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');
const SCHEMAS = join(ROOT, 'docs/events');

const { config } = JSON.parse(readFileSync(join(ROOT, 'deploy/debezium/outbox-connector.json'), 'utf8')) as {
  config: Record<string, string>;
};

/** From which fields of an event's value the connector takes the headers, by header. */
function idFields(type: string): Record<string, string> {
  const taken: [string, string][] = [];
  for (const transform of config['transforms']!.split(',')) {
    const setting = (name: string) => config[`transforms.${transform}.${name}`];
    if (!setting('headers')?.startsWith('ce_id')) continue;
    const pattern = config[`predicates.${setting('predicate')}.pattern`];
    if (!new RegExp(`^(${pattern})$`).test(`outbox.${type}`)) continue;
    const fields = setting('fields')!.split(',');
    taken.push(
      ...setting('headers')!
        .split(',')
        .map((header, n) => [header, fields[n]!] as [string, string]),
    );
  }
  return Object.fromEntries(taken);
}

const types = readdirSync(SCHEMAS).flatMap((file) => /^(.*)\.schema\.json$/.exec(file)?.[1] ?? []);

test.each(types)(
  'Debezium gives a %s the id of its action or change, and its payment or account as the subject',
  (type) => {
    const schema = readFileSync(join(SCHEMAS, `${type}.schema.json`), 'utf8');
    const { properties } = JSON.parse(schema) as { properties: Record<string, unknown> };
    expect(idFields(type)).toEqual({
      ce_id: ['actionId', 'changeId', 'paymentId'].find((field) => field in properties),
      ce_subject: ['paymentId', 'accountId'].find((field) => field in properties),
    });
  },
);
