import { expect, test, vi } from 'vitest';
import { parseMetadata } from '../../../src/cli/keyed-call.ts';
import { fields, json, printable, shortName, table } from '../../../src/cli/output.ts';
import { collect } from '../../../src/cli/pages.ts';
import { progressLine, showProgress } from '../../../src/cli/progress.ts';

test('a table has its titles over its columns, numbers at the right', () => {
  const columns = [{ title: 'NAME' }, { title: 'CENTS', number: true }, { title: 'NOTE' }];
  const rows = [
    ['a', '5', ''],
    ['longer', '123456', 'x'],
  ];
  expect(table(columns, rows)).toBe('NAME     CENTS  NOTE\na            5\nlonger  123456  x');
  expect(table(columns, [])).toBe('NAME  CENTS  NOTE');
});

test('fields stand under each other, without those that are undefined', () => {
  expect(fields({ a: '1', longer: undefined, 'b c': '2' })).toBe('a    1\nb c  2');
});

test('what callers wrote cannot steer the terminal', () => {
  expect(printable('red \u001b[31m, a\nline, \u009b2J, Grüße')).toBe('red \\u001b[31m, a\\u000aline, \\u009b2J, Grüße');
  expect(fields({ a: '\r' })).toBe('a  \\u000d');
  expect(table([{ title: 'A' }], [['\u0007']])).toBe('A\n\\u0007');
});

test('int64 is a string in JSON', () => {
  expect(json({ cents: 2n ** 62n, n: 1 })).toBe('{"cents":"4611686018427387904","n":1}');
});

test('enums are shown without their own name', () => {
  expect(['ACCOUNT_TYPE_EXTERNAL', 'PAYMENT_ERROR_CODE_RATE_LIMITED'].map(shortName)).toEqual([
    'EXTERNAL',
    'RATE_LIMITED',
  ]);
});

test('metadata is collected, and its value may have an equals sign', () => {
  expect(parseMetadata('b=2=3', parseMetadata('a='))).toEqual({ a: '', b: '2=3' });
  expect(() => parseMetadata('a=2', { a: '1' })).toThrow('two of key a');
  expect(() => parseMetadata('=1')).toThrow('key=value');
});

test.each([
  [{ done: 0, total: 100, elapsedMs: 500 }, 'rows 0 of about 100 (0 %)'],
  [{ done: 25_000, total: 100_000, elapsedMs: 5_000 }, 'rows 25000 of about 100000 (25 %), 5000/s, 15 s left'],
  [{ done: 1_000, total: 1_000_000, elapsedMs: 1_000 }, 'rows 1000 of about 1000000 (0 %), 1000/s, 17 min left'],
  [{ done: 1_000, total: 10_000_000, elapsedMs: 1_000 }, 'rows 1000 of about 10000000 (0 %), 1000/s, 2 h 47 min left'],
  [{ done: 120, total: 100, elapsedMs: 2_000 }, 'rows 120, 60/s'],
])('progress of %o is told as %s', (state, line) => {
  expect(progressLine({ what: 'rows', ...state })).toBe(line);
});

test('pages are collected up to the limit, past those that are empty', async () => {
  const pages = [['a', 'b'], [], ['c'], ['d']];
  const asked: [number, string][] = [];
  const page = async (size: number, token: string) => {
    asked.push([size, token]);
    const index = Number(token);
    return { items: pages[index]!, nextPageToken: index === 3 ? '' : String(index + 1) };
  };
  expect(await collect(3, page)).toEqual({ items: ['a', 'b', 'c'], more: true });
  expect(asked).toEqual([
    [3, ''],
    [1, '1'],
    [1, '2'],
  ]);
  expect(await collect(Number.POSITIVE_INFINITY, page)).toEqual({ items: ['a', 'b', 'c', 'd'], more: false });
});

test('progress is told every five seconds at most', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const told = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  try {
    const show = showProgress('rows', 1_000);
    for (let second = 1; second <= 11; second++) {
      vi.advanceTimersByTime(1_000);
      show(second * 10);
    }
    expect(told.mock.calls.flat()).toEqual([
      'rows 50 of about 1000 (5 %), 10/s, 2 min left',
      'rows 100 of about 1000 (10 %), 10/s, 2 min left',
    ]);
  } finally {
    told.mockRestore();
    vi.useRealTimers();
  }
});
