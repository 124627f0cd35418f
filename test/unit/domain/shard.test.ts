import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { shardOf } from '../../../src/app/domain/shard.ts';

// kafkajs does not export its copy of the function; this is where it keeps it.
const murmur2: (key: Buffer) => number = createRequire(import.meta.url)(
  'kafkajs/src/producer/partitioners/default/murmur2.js',
);

test("agrees with Kafka's default partitioner on keys of every length and alphabet", () => {
  const keys = ['', 'a', 'ab', 'abc', 'abcd', 'acc-001', 'счёт-7', '口座🧾', 'x'.repeat(64)];
  for (let i = 0; i < 2_000; i++) keys.push(`acc-${i * 7919}`);
  for (const key of keys) {
    for (const shards of [1, 3, 16, 50]) {
      expect(shardOf(key, shards), key).toBe((murmur2(Buffer.from(key)) & 0x7fffffff) % shards);
    }
  }
});

test("agrees with the values in Kafka's own test of murmur2", () => {
  // org.apache.kafka.common.utils.UtilsTest.testMurmur2
  const expected = { '21': -973932308, foobar: -790332482, 'a-little-bit-long-string': -985981536 };
  for (const [key, hash] of Object.entries(expected)) {
    expect(shardOf(key, 2 ** 31 - 1)).toBe((hash & 0x7fffffff) % (2 ** 31 - 1));
  }
});
