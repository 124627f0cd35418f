import { expect, test } from 'vitest';
import { sharedReads } from '../../../src/infra/postgres/payments/shared-reads.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A table of which each read is answered when the test says so. */
function gatedTable(rows: Readonly<Record<string, number>>) {
  const reads: { keys: readonly string[]; answer: () => void; fail: (error: Error) => void }[] = [];
  const shared = sharedReads<number>(
    (keys) =>
      new Promise((resolve, reject) => {
        const found = keys.flatMap((key) => (rows[key] === undefined ? [] : [[key, rows[key]] as const]));
        reads.push({ keys, answer: () => resolve(new Map(found)), fail: reject });
      }),
  );
  return { reads, shared };
}

test('those who come in one turn share a statement, each key in it once', async () => {
  const { reads, shared } = gatedTable({ a: 1, b: 2 });
  const values = Promise.all(['a', 'b', 'a', 'c'].map((key) => shared(key)));
  await turn();
  expect(reads.map(({ keys }) => keys)).toEqual([['a', 'b', 'c']]);
  reads[0]!.answer();
  expect(await values).toEqual([1, 2, 1, undefined]);
});

test('those who come while both slots are busy wait for the next, and are never given an earlier answer', async () => {
  const { reads, shared } = gatedTable({ a: 1 });
  const first = shared('a');
  await turn();
  const second = shared('a');
  await turn();
  const third = shared('a');
  const fourth = shared('b');
  await turn();
  expect(reads).toHaveLength(2);
  reads[0]!.answer();
  expect(await first).toBe(1);
  await turn();
  await turn();
  expect(reads[2]!.keys).toEqual(['a', 'b']);
  reads[1]!.answer();
  reads[2]!.answer();
  expect(await Promise.all([second, third, fourth])).toEqual([1, 1, undefined]);
});

test('a statement has a limited number of keys', async () => {
  const { reads, shared } = gatedTable({});
  const all = Promise.all(Array.from({ length: 300 }, (_, n) => shared(String(n))));
  await turn();
  await turn();
  expect(reads.map(({ keys }) => keys.length)).toEqual([256, 44]);
  for (const { answer } of reads) answer();
  expect(await all).toHaveLength(300);
});

test('a failure is told to those who shared the statement, and the next one runs', async () => {
  const { reads, shared } = gatedTable({ a: 1 });
  const failed = Promise.allSettled([shared('a'), shared('b')]);
  await turn();
  reads[0]!.fail(new Error('connection lost'));
  expect((await failed).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  const again = shared('a');
  await turn();
  reads[1]!.answer();
  expect(await again).toBe(1);
});
