import { expect, test } from 'vitest';
import { Admission } from '../../../src/app/admission.ts';

const present = () => false;

/** Work that ends when the test says so. */
function gatedWork() {
  const begun: string[] = [];
  const gates = new Map<string, { finish: () => void; fail: (error: Error) => void }>();
  const work = (name: string) => () => {
    begun.push(name);
    return new Promise<string>((resolve, reject) => {
      gates.set(name, { finish: () => resolve(name), fail: reject });
    });
  };
  return { begun, work, finish: (name: string) => gates.get(name)!.finish(), gates };
}

test('so many are worked on, so many wait in the order in which they came, and the rest are turned away', async () => {
  const { begun, work, finish } = gatedWork();
  const admission = new Admission({ maxInFlight: 2, maxQueue: 2 });
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => admission.run(work(name), present));
  await expect(admission.run(work('e'), present)).rejects.toMatchObject({
    problem: { kind: 'OVERLOADED', retryAfterMs: expect.any(Number) },
  });
  expect(begun).toEqual(['a', 'b']);
  finish('b');
  expect(await b).toBe('b');
  expect(begun).toEqual(['a', 'b', 'c']);
  const f = admission.run(work('f'), present);
  for (const name of ['a', 'c']) finish(name);
  expect(await Promise.all([a, c])).toEqual(['a', 'c']);
  expect(begun).toEqual(['a', 'b', 'c', 'd', 'f']);
  for (const name of ['d', 'f']) finish(name);
  expect(await Promise.all([d, f])).toEqual(['d', 'f']);
});

test('a caller who has gone is dropped before its work begins, and the next one has its turn', async () => {
  const { begun, work, finish } = gatedWork();
  const admission = new Admission({ maxInFlight: 1, maxQueue: 3 });
  let gone = false;
  const first = admission.run(work('first'), present);
  const left = admission.run(work('left'), () => gone);
  const last = admission.run(work('last'), present);
  gone = true;
  finish('first');
  await expect(left).rejects.toMatchObject({ problem: { kind: 'ABANDONED' } });
  expect(begun).toEqual(['first', 'last']);
  finish('last');
  expect(await Promise.all([first, last])).toEqual(['first', 'last']);
});

test('work that fails, even at once, fails its own caller and makes room', async () => {
  const { work, finish } = gatedWork();
  const admission = new Admission({ maxInFlight: 1, maxQueue: 1 });
  const failed = admission.run(() => {
    throw new Error('at once');
  }, present);
  const next = admission.run(work('next'), present);
  await expect(failed).rejects.toThrow('at once');
  finish('next');
  expect(await next).toBe('next');
});
