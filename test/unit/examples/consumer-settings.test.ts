import { expect, test } from 'vitest';
import { readSettings, SettingsError } from '../../../examples/consumer/settings.ts';

const GOOD = { CONSUMER_DATABASE_URL: 'postgres://ledger@127.0.0.1/views' };

test('only the database must be given', () => {
  expect(readSettings([], GOOD)).toEqual({
    databaseUrl: GOOD.CONSUMER_DATABASE_URL,
    brokers: ['127.0.0.1:9092'],
    topic: 'payment.events.v1',
    group: 'account-views',
  });
  const all = { ...GOOD, KAFKA_BROKERS: 'a:1,b:2', KAFKA_TOPIC: 'other', CONSUMER_GROUP: 'mine' };
  expect(readSettings([], all)).toMatchObject({ brokers: ['a:1', 'b:2'], topic: 'other', group: 'mine' });
});

test('help needs nothing', () => {
  expect(readSettings(['--help'], {})).toBeUndefined();
});

test.each([
  [['--from'], GOOD, "Unknown option '--from'"],
  [['extra'], GOOD, 'extra'],
  [[], {}, 'CONSUMER_DATABASE_URL: must be a URL'],
  [[], { CONSUMER_DATABASE_URL: 'mysql://host/db' }, 'CONSUMER_DATABASE_URL: must be a URL'],
  [[], { ...GOOD, KAFKA_BROKERS: 'localhost' }, 'KAFKA_BROKERS: must be host:port'],
  [[], { ...GOOD, KAFKA_TOPIC: 'two words' }, 'KAFKA_TOPIC: must be the name'],
])('what is wrong is named: %j %j', (args, env, message) => {
  expect(() => readSettings(args, env)).toThrow(SettingsError);
  expect(() => readSettings(args, env)).toThrow(message);
});
