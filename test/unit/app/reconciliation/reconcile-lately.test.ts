import { beforeEach, describe, expect, test } from 'vitest';
import { reconcileRecent, reconcileWhole } from '../../../../src/app/reconciliation/reconcile-lately.ts';
import { InMemoryBooks, InMemoryHistory } from '../../../support/in-memory-books.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** No time at all: a call examines one range. */
const ONE_RANGE = { rangeSize: 2, stopAfterMs: 0 };
const running = new AbortController().signal;

let history: InMemoryHistory;
beforeEach(() => {
  history = new InMemoryHistory();
});

const GOOD = { PAYMENTS: [{ key: 'p1' }, { key: 'p2' }, { key: 'p3' }] };
const BAD = { PAYMENTS: [{ key: 'p1', breaks: 'PAYMENT_HAS_ITS_ENTRIES' }, { key: 'p2' }, { key: 'p3' }] } as const;

describe('a run', () => {
  test('ends when its time is over, and the next one goes on from there', async () => {
    const books = new InMemoryBooks(BAD);
    const first = await reconcileWhole(books, history, running, ONE_RANGE);
    expect(first).toMatchObject({ paymentsExamined: 2, finished: false });
    expect(books.examined).toEqual(['PAYMENTS']);
    const second = await reconcileWhole(books, history, running, ONE_RANGE);
    expect(second).toMatchObject({ paymentsExamined: 3, finished: false });
    expect(books.examined).toEqual(['PAYMENTS', 'PAYMENTS after p2']);
    expect(second.problems).toEqual(first.problems);
    expect(history.recorded).toHaveLength(1);
  });

  test('by run comes to an end, with every stage examined once', async () => {
    const books = new InMemoryBooks(GOOD);
    let runs = 0;
    for (let finished = false; !finished && runs < 100; runs++) {
      ({ finished } = await reconcileWhole(books, history, running, ONE_RANGE));
    }
    expect(runs).toBe(11);
    expect(new Set(books.examined).size).toBe(11);
    expect(history.recorded[0]!.progress).toEqual({
      stage: undefined,
      after: undefined,
      paymentsExamined: 3,
      problems: [],
    });
  });

  test('that may take its time finishes at once', async () => {
    const report = await reconcileRecent(new InMemoryBooks(GOOD), history, running);
    expect(report).toEqual({ problems: [], paymentsExamined: 3, finished: true });
  });

  test('that is stopped keeps what it has examined', async () => {
    const books = new InMemoryBooks(GOOD);
    const stopping = new AbortController();
    books.before = () => {
      if (books.examined.length === 1) stopping.abort(new Error('stopping'));
    };
    const limits = { rangeSize: 2, stopAfterMs: 60_000 };
    await expect(reconcileWhole(books, history, stopping.signal, limits)).rejects.toThrow('stopping');
    expect(history.recorded[0]!.progress).toMatchObject({ stage: 'ACCOUNTS', paymentsExamined: 3 });
  });

  test('that loses the database keeps what it has examined', async () => {
    const books = new InMemoryBooks(GOOD);
    books.before = () => {
      if (books.examined.length === 1) throw new Error('unreachable');
    };
    const limits = { rangeSize: 2, stopAfterMs: 60_000 };
    await expect(reconcileWhole(books, history, running, limits)).rejects.toThrow('unreachable');
    expect(history.recorded[0]!.progress).toMatchObject({ stage: 'PAYMENTS', after: ['p2'], paymentsExamined: 2 });
  });

  test('ends if another worker goes on with the same examination', async () => {
    const books = new InMemoryBooks(GOOD);
    books.before = () => {
      const { progress } = history.recorded[0]!;
      history.recorded[0] = { ...history.recorded[0]!, progress: { ...progress, after: ['p3'] } };
    };
    await expect(reconcileWhole(books, history, running, ONE_RANGE)).rejects.toThrow('Another worker');
  });
});

describe('recent books', () => {
  const begunAt = () => history.recorded.at(-1)!.since!.getTime();

  test('begin an hour ago the first time, then an hour before the last time began', async () => {
    const firstMs = history.nowMs;
    await reconcileRecent(new InMemoryBooks(), history, running);
    expect(begunAt()).toBe(firstMs - HOUR_MS);
    history.nowMs += 5 * HOUR_MS;
    await reconcileRecent(new InMemoryBooks(), history, running);
    expect(begunAt()).toBe(firstMs - HOUR_MS);
    history.nowMs += 5 * HOUR_MS;
    await reconcileRecent(new InMemoryBooks(), history, running);
    expect(begunAt()).toBe(firstMs + 4 * HOUR_MS);
  });

  test('begin no later than a problem that was found, until it is gone', async () => {
    const firstMs = history.nowMs;
    for (let days = 0; days < 3; days++) {
      const { problems } = await reconcileRecent(new InMemoryBooks(BAD), history, running);
      expect(problems).toHaveLength(1);
      expect(begunAt()).toBe(firstMs - HOUR_MS);
      history.nowMs += DAY_MS;
    }
    await reconcileRecent(new InMemoryBooks(), history, running);
    expect(begunAt()).toBe(firstMs - HOUR_MS);
    await reconcileRecent(new InMemoryBooks(), history, running);
    expect(begunAt()).toBe(history.nowMs - HOUR_MS);
  });

  test('do not wait for an examination of the whole books', async () => {
    await reconcileWhole(new InMemoryBooks(GOOD), history, running, ONE_RANGE);
    expect(await reconcileRecent(new InMemoryBooks(), history, running)).toMatchObject({ finished: true });
    expect(history.recorded.map(({ whole }) => whole)).toEqual([true, false]);
  });
});

describe('the whole books', () => {
  test('are examined once a day', async () => {
    const books = new InMemoryBooks(GOOD);
    await reconcileWhole(books, history, running);
    const ranges = books.examined.length;
    history.nowMs += DAY_MS - 1;
    const idle = await reconcileWhole(books, history, running);
    expect(idle).toEqual({ problems: [], paymentsExamined: 0, finished: true });
    expect(books.examined).toHaveLength(ranges);
    history.nowMs += 1;
    await reconcileWhole(books, history, running);
    expect(books.examined).toHaveLength(2 * ranges);
  });

  test('are examined again at once if something was wrong', async () => {
    await reconcileWhole(new InMemoryBooks(BAD), history, running);
    const again = await reconcileWhole(new InMemoryBooks(GOOD), history, running);
    expect(again).toEqual({ problems: [], paymentsExamined: 3, finished: true });
    expect(history.recorded).toHaveLength(2);
  });
});

describe('a reconciliation from the future', () => {
  const FUTURE = /^1 reconciliations are recorded as begun in the future/;

  test('is reported, and the books are examined all the same', async () => {
    history.nowMs += 365 * DAY_MS;
    await reconcileWhole(new InMemoryBooks(), history, running);
    history.nowMs -= 365 * DAY_MS;
    const books = new InMemoryBooks(GOOD);
    const report = await reconcileWhole(books, history, running);
    expect(report).toMatchObject({ paymentsExamined: 3, finished: true });
    expect(report.problems).toEqual([expect.stringMatching(FUTURE)]);
  });

  test('is reported while no examination is due, and by recent ones', async () => {
    await reconcileWhole(new InMemoryBooks(), history, running);
    history.nowMs += 365 * DAY_MS;
    await reconcileRecent(new InMemoryBooks(), history, running);
    history.nowMs -= 365 * DAY_MS;
    for (const reconcile of [reconcileWhole, reconcileRecent]) {
      const { problems } = await reconcile(new InMemoryBooks(), history, running);
      expect(problems).toEqual([expect.stringMatching(FUTURE)]);
    }
  });
});
