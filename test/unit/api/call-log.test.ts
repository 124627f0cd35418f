import { status } from '@grpc/grpc-js';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CallLog, type LoggedCall } from '../../../src/api/call-log.ts';
import { toFailure } from '../../../src/api/status.ts';
import { databaseUnavailable, ServiceError, unavailable } from '../../../src/app/errors.ts';
import { Outage } from '../../../src/app/outage.ts';

const METHOD = '/payment.v1.PaymentService/AuthorizePayment';

let lines: Record<string, unknown>[];
let outages: unknown[];

beforeEach(() => {
  lines = [];
  outages = [];
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function callLog(level: string): CallLog {
  const log = pino({ level }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return new CallLog(log, new Outage({ began: (error) => outages.push(error), ended: () => undefined }));
}

function aCall(caller = ''): LoggedCall {
  return {
    method: METHOD,
    startedAtMs: performance.now(),
    requestId: 'req-1',
    caller: { name: caller },
    traceparent: () => undefined,
  };
}

function fail(log: CallLog, error: unknown, call = aCall()): void {
  const failure = toFailure(error);
  log.failed(call, failure.code, error, failure);
}

const notFound = new ServiceError(
  { kind: 'NOT_FOUND', resourceType: 'Account', resourceName: 'acc-001' },
  'There is no account acc-001.',
);

test('at info only calls that failed have a line', () => {
  const log = callLog('info');
  log.answered(aCall('shop'), status.OK, () => ({ outcome: 'AUTHORIZED' }));
  fail(log, notFound, aCall('shop'));
  expect(lines).toMatchObject([
    { msg: 'call failed', method: METHOD, code: 'NOT_FOUND', reason: 'NOT_FOUND', caller: 'shop', requestId: 'req-1' },
  ]);
});

test('a flood of failed calls has so many lines a second, and the number of the others', () => {
  const log = callLog('info');
  for (let i = 0; i < 1_000; i++) fail(log, notFound);
  expect(lines).toHaveLength(100);
  vi.advanceTimersByTime(1_000);
  expect(lines.slice(100)).toMatchObject([{ msg: 'more calls failed than have a line', leftOut: 900 }]);
  fail(log, notFound);
  expect(lines.at(-1)).toMatchObject({ msg: 'call failed' });
});

test('at debug none is left out, and the cause is there', () => {
  const log = callLog('debug');
  for (let i = 0; i < 100; i++) fail(log, unavailable('Try again.', new Error('why')));
  expect(lines).toHaveLength(100);
  expect(lines[99]).toMatchObject({ level: 30, err: { message: expect.stringContaining('why') } });
});

test('an error that nobody foresaw is never left out', () => {
  const log = callLog('info');
  for (let i = 0; i < 100; i++) fail(log, new Error('unforeseen'));
  expect(lines).toHaveLength(100);
  expect(lines[99]).toMatchObject({ level: 50, errorId: expect.any(String), err: { message: 'unforeseen' } });
});

test('a denied call says why and to whom, also if the caller was told that there is nothing', () => {
  const log = callLog('info');
  const problem = { kind: 'PERMISSION_DENIED', reason: 'ACCOUNT_NOT_ALLOWED', metadata: { account_id: 'a' } } as const;
  const denied = new ServiceError(problem, 'The caller may not act for account a.');
  fail(log, denied, aCall('shop'));
  fail(log, new ServiceError(notFound.problem, notFound.message, { cause: denied }), aCall('shop'));
  const line = { msg: 'call denied', caller: 'shop', reason: 'ACCOUNT_NOT_ALLOWED', account_id: 'a' };
  expect(lines).toMatchObject([
    { ...line, code: 'PERMISSION_DENIED' },
    { ...line, code: 'NOT_FOUND' },
  ]);
});

test('a call that fails because the database is unavailable begins an outage, and no other', () => {
  const log = callLog('info');
  fail(log, unavailable('The account is locked.', new Error('55P03')));
  expect(outages).toEqual([]);
  const error = databaseUnavailable('The database cannot be reached.', new Error('ECONNREFUSED'));
  fail(log, error);
  fail(log, error);
  expect(outages).toEqual([error]);
});
