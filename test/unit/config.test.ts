import { describe, expect, test } from 'vitest';
import { ConfigError, externalLimit, loadApiConfig, loadRelayConfig, redisAddress } from '../../src/config.ts';

const GOOD = {
  DATABASE_URL: 'postgres://ledger@127.0.0.1/ledger',
  REDIS_URL: 'redis://127.0.0.1:6379',
  KAFKA_BROKERS: '127.0.0.1:9092',
};

/** What the error says; fails if there is none. */
function rejection(load: () => unknown): string {
  try {
    load();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error('The configuration was accepted');
}

describe('a bad variable', () => {
  test.each([
    ['DATABASE_URL', 'mysql://user:planted@host/db'],
    ['DATABASE_URL', 'planted'],
    ['REDIS_URL', 'http://:planted@host'],
    ['REDIS_URL', 'redis://user:planted@host:99999'],
    ['KAFKA_BROKERS', 'user:planted@host:9092'],
    ['KAFKA_BROKERS', 'planted@host:9092'],
    ['KAFKA_BROKERS', 'kafka://user:planted@host:9092'],
    ['KAFKA_BROKERS', 'host:9092,redis://:planted@host:1'],
    ['REDIS_SENTINELS', 'redis://:planted@host:26379'],
    ['REDIS_SENTINELS', 'planted@host:26379'],
  ])('is named and its value is not shown: %s=%s', (name, value) => {
    const message = rejection(() => loadRelayConfig({ ...GOOD, [name]: value }));
    expect(message).toContain(`  ${name}: must be `);
    expect(message).not.toContain('planted');
  });

  test('is named with every other bad one, those that are missing too', () => {
    const message = rejection(() => loadApiConfig({ REDIS_URL: 'x', GRPC_PORT: '70000' }));
    expect(message).toMatch(/DATABASE_URL is not set\n {2}REDIS_URL: .*\n {2}GRPC_PORT: /);
  });
});

test.each(['1e9', '0', '-1', '1.5', 'for ever'])('IDEMPOTENCY_KEY_RETENTION_DAYS=%s is rejected', (days) => {
  const message = rejection(() => loadRelayConfig({ ...GOOD, IDEMPOTENCY_KEY_RETENTION_DAYS: days }));
  expect(message).toContain('  IDEMPOTENCY_KEY_RETENTION_DAYS: ');
});

test('GRPC_MAX_RESPONSE_BYTES has room for the largest answer to a payment', () => {
  expect(loadApiConfig({ ...GOOD, GRPC_MAX_RESPONSE_BYTES: '131072' }).GRPC_MAX_RESPONSE_BYTES).toBe(131_072);
  const message = rejection(() => loadApiConfig({ ...GOOD, GRPC_MAX_RESPONSE_BYTES: '131071' }));
  expect(message).toContain('  GRPC_MAX_RESPONSE_BYTES: ');
});

describe('CE_SOURCE', () => {
  test.each(['/payment-ledger', 'https://ledger.example/eu', 'urn:ledger:eu', '/a%20b'])('may be %s', (source) => {
    expect(loadRelayConfig({ ...GOOD, CE_SOURCE: source }).CE_SOURCE).toBe(source);
  });

  test.each([' ', '/two words', '/50%', 'http://[', '/счёт', `/${'x'.repeat(255)}`])('may not be "%s"', (source) => {
    expect(rejection(() => loadRelayConfig({ ...GOOD, CE_SOURCE: source }))).toContain('  CE_SOURCE: ');
  });
});

describe('KAFKA_RETENTION_MS', () => {
  test.each([
    ['604800000', 604_800_000],
    ['7200000', 7_200_000],
    ['-1', -1],
  ])('may be %s', (text, ms) => {
    expect(loadRelayConfig({ ...GOOD, KAFKA_RETENTION_MS: text }).KAFKA_RETENTION_MS).toBe(ms);
  });

  test.each(['0', '-2', '7199999', '1.5', '7d', '1e17'])('may not be %s', (text) => {
    expect(rejection(() => loadRelayConfig({ ...GOOD, KAFKA_RETENTION_MS: text }))).toContain('  KAFKA_RETENTION_MS: ');
  });
});

describe('the limit of EXTERNAL payers', () => {
  test('is none unless it is set, and cannot be set by half', () => {
    expect(externalLimit(loadApiConfig(GOOD))).toBeUndefined();
    const [capacity, refill] = [{ RATE_LIMIT_EXTERNAL_CAPACITY: '5' }, { RATE_LIMIT_EXTERNAL_REFILL_PER_SECOND: '6' }];
    expect(externalLimit(loadApiConfig({ ...GOOD, ...capacity, ...refill }))).toEqual({
      capacity: 5,
      refillPerSecond: 6,
    });
    for (const half of [capacity, refill]) {
      expect(rejection(() => loadApiConfig({ ...GOOD, ...half }))).toContain('RATE_LIMIT_EXTERNAL_REFILL_PER_SECOND');
    }
  });
});

describe('where Redis is', () => {
  test('is said by REDIS_URL, or by Sentinels', () => {
    const url = GOOD.REDIS_URL;
    expect(redisAddress(loadApiConfig(GOOD))).toEqual({ url });
    const sentinels = { REDIS_SENTINELS: 'one:26379,two:26380', REDIS_SENTINEL_NAME: 'payments' };
    expect(redisAddress(loadRelayConfig({ ...GOOD, ...sentinels }))).toEqual({
      url,
      sentinel: {
        addresses: [
          { host: 'one', port: 26_379 },
          { host: 'two', port: 26_380 },
        ],
        name: 'payments',
      },
    });
  });
});
