import { describe, expect, test } from 'vitest';
import { type BooksProgress, beginning, examineRange, reconcile } from '../../../../src/app/reconciliation/books.ts';
import { RangePace } from '../../../../src/app/reconciliation/range-pace.ts';
import { InMemoryBooks, type Row } from '../../../support/in-memory-books.ts';

function rows(count: number, breaks?: Row['breaks']): Row[] {
  return Array.from({ length: count }, (_, n) => ({
    key: `row-${String(n).padStart(4, '0')}`,
    ...(breaks && { breaks }),
  }));
}

/** Goes on from there to the end, as it would after any number of restarts. */
async function finish(books: InMemoryBooks, from: BooksProgress, whole: boolean, rangeSize: number) {
  const pace = new RangePace(rangeSize);
  let progress = from;
  while (progress.stage !== undefined) progress = await examineRange(books, progress, whole, pace);
  return progress;
}

describe('stages', () => {
  test('of the whole books come one after the other, the currencies last', async () => {
    const books = new InMemoryBooks();
    await reconcile(books);
    expect(books.examined).toEqual([
      ...['PAYMENTS', 'ACCOUNTS', 'BALANCES', 'PAYMENT_BALANCES', 'ENTRIES', 'KEYS'],
      ...['OUTBOX', 'BLOCKED', 'DEAD_LETTERS', 'CURRENCIES'],
    ]);
  });

  test('of recent books leave out what is reached from the payments, and begin at a time only there', async () => {
    const books = new InMemoryBooks();
    const since = new Date('2026-11-01T00:00:00Z');
    await finish(books, beginning(books, since), false, 10);
    expect(books.examined).toEqual([
      'PAYMENTS after 2026-11-01T00:00:00.000Z',
      ...['BALANCES', 'OUTBOX', 'BLOCKED', 'DEAD_LETTERS', 'CURRENCIES'],
    ]);
  });

  test('are over when a range is not full', async () => {
    const books = new InMemoryBooks({ PAYMENTS: rows(5) });
    await reconcile(books, undefined, 2);
    expect(books.examined.slice(0, 4)).toEqual([
      'PAYMENTS',
      'PAYMENTS after row-0001',
      'PAYMENTS after row-0003',
      'ACCOUNTS',
    ]);
  });

  test('end with an empty range if the last one was just full', async () => {
    const books = new InMemoryBooks({ PAYMENTS: rows(4) });
    await reconcile(books, undefined, 2);
    expect(books.examined.slice(0, 4)).toEqual([
      'PAYMENTS',
      'PAYMENTS after row-0001',
      'PAYMENTS after row-0003',
      'ACCOUNTS',
    ]);
  });
});

describe('progress', () => {
  test('is told after each range, and counts payments only', async () => {
    const books = new InMemoryBooks({ PAYMENTS: rows(3), ACCOUNTS: rows(7), ENTRIES: rows(6) });
    const counts: number[] = [];
    const { paymentsExamined } = await reconcile(books, (progress) => counts.push(progress.paymentsExamined), 2);
    expect(counts).toHaveLength(books.examined.length);
    expect(counts.slice(0, 3)).toEqual([2, 3, 3]);
    expect(paymentsExamined).toBe(3);
  });

  test('may be gone on with from every range, and comes to the same', async () => {
    const make = () =>
      new InMemoryBooks(
        { PAYMENTS: rows(5, 'PAYMENT_HAS_ITS_ENTRIES'), BALANCES: rows(3, 'WITHIN_OVERDRAFT'), ENTRIES: rows(4) },
        [{ currency: 'EUR', sumCents: 1n }],
      );
    const kept: BooksProgress[] = [];
    const whole = await reconcile(make(), (progress) => kept.push(progress), 2);
    for (const from of kept) expect(await finish(make(), from, true, 2)).toEqual(whole);
  });

  test('that is finished examines nothing', async () => {
    const books = new InMemoryBooks();
    const finished = await reconcile(books);
    const examined = books.examined.length;
    expect(await examineRange(books, finished, true, new RangePace(10))).toEqual(finished);
    expect(books.examined).toHaveLength(examined);
  });

  test('is not made by a range that fails', async () => {
    const books = new InMemoryBooks({ PAYMENTS: rows(4) });
    const first = await examineRange(books, beginning(books, undefined), true, new RangePace(2));
    books.before = () => {
      throw new Error('unreachable');
    };
    await expect(examineRange(books, first, true, new RangePace(2))).rejects.toThrow('unreachable');
    expect(first).toEqual({ stage: 'PAYMENTS', after: ['row-0001'], paymentsExamined: 2, problems: [] });
  });
});

describe('problems', () => {
  test('are gathered from all ranges and stages, each named by a sentence', async () => {
    const books = new InMemoryBooks({
      PAYMENTS: [{ key: 'p1' }, { key: 'p2', breaks: 'PAYMENT_HAS_CURRENCY_OF_ACCOUNTS' }, { key: 'p3' }],
      BALANCES: [{ key: 'a1' }, { key: 'a2', breaks: 'WITHIN_OVERDRAFT' }],
      DEAD_LETTERS: [{ key: 'e1', breaks: 'EVENT_HAS_ITS_PAYMENT' }],
    });
    const { problems } = await reconcile(books, undefined, 1);
    expect(problems).toEqual([
      'the currency is not that of payer and payee, of payment p2',
      'the balance is below the overdraft limit, of account a2',
      'a pending event belongs to no payment or account change: e1',
    ]);
  });

  test('are named once, however often they are found', async () => {
    const twice: Row = { key: 'a1', breaks: 'ENTRIES_FORM_A_CHAIN' };
    const { problems } = await reconcile(new InMemoryBooks({ PAYMENTS: [twice, twice] }));
    expect(problems).toEqual(['a ledger entry does not follow from the one before, of account a1']);
  });

  test('are a hundred at most, the first ones', async () => {
    const books = new InMemoryBooks({ PAYMENTS: rows(150, 'PAYMENT_HAS_ITS_ENTRIES') }, [
      { currency: 'EUR', sumCents: 5n },
    ]);
    const { problems, paymentsExamined } = await reconcile(books, undefined, 40);
    expect(problems).toHaveLength(100);
    expect(problems[99]).toContain('row-0099');
    expect(paymentsExamined).toBe(150);
  });

  test('are currencies whose balances do not sum to zero, and no others', async () => {
    const { problems } = await reconcile(
      new InMemoryBooks({}, [
        { currency: 'EUR', sumCents: 0n },
        { currency: 'RUB', sumCents: -9_007_199_254_740_993n },
        { currency: 'USD', sumCents: 2n },
      ]),
    );
    expect(problems).toEqual([
      'all balances in RUB together are -9007199254740993, not 0',
      'all balances in USD together are 2, not 0',
    ]);
  });
});
