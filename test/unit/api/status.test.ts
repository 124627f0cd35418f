import { status } from '@grpc/grpc-js';
import { type Logger, pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { type Failure, toFailure } from '../../../src/api/status.ts';
import { type Problem, ServiceError, TransientError, unavailable } from '../../../src/app/errors.ts';
import { BadRequest, ErrorInfo, ResourceInfo, RetryInfo } from '../../../src/gen/google/rpc/error_details.ts';
import { Status } from '../../../src/gen/google/rpc/status.ts';

const silent = pino({ level: 'silent' });

function failureOf(problem: Problem): Failure {
  return toFailure(new ServiceError(problem, 'What happened.'), silent);
}

/** The google.rpc.Status that travels with the failure, its details decoded. */
function decoded({ metadata }: Failure) {
  const [packed] = metadata.get('grpc-status-details-bin');
  if (packed === undefined) return undefined;
  const { code, message, details } = Status.decode(packed as Buffer);
  const types = { BadRequest, ErrorInfo, ResourceInfo, RetryInfo };
  return {
    code,
    message,
    details: details.map(({ typeUrl, value }) => {
      const [host, name] = typeUrl.split('/google.rpc.');
      return { host, name, ...types[name as keyof typeof types].decode(value) };
    }),
  };
}

const host = 'type.googleapis.com';

describe('toFailure', () => {
  test('INVALID_REQUEST: INVALID_ARGUMENT with every bad field', () => {
    const violations = [
      { field: 'currency', description: 'must be an ISO 4217 code' },
      { field: 'idempotency_key', description: 'must not be empty' },
    ];
    const failure = failureOf({ kind: 'INVALID_REQUEST', violations });
    expect(failure).toMatchObject({ code: status.INVALID_ARGUMENT, details: 'What happened.' });
    expect(decoded(failure)).toMatchObject({
      code: status.INVALID_ARGUMENT,
      message: 'What happened.',
      details: [{ host, name: 'BadRequest', fieldViolations: violations }],
    });
  });

  test('TOO_MANY_CALLS: RESOURCE_EXHAUSTED with the reason and when to come again', () => {
    const failure = failureOf({ kind: 'TOO_MANY_CALLS', retryAfterMs: 1_500 });
    expect(failure.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(decoded(failure)?.details).toMatchObject([
      { name: 'ErrorInfo', reason: 'CALLER_RATE_LIMITED' },
      { name: 'RetryInfo', retryDelay: { seconds: 1n, nanos: 500_000_000 } },
    ]);
  });

  test('UNAUTHENTICATED and PERMISSION_DENIED: the status of that name with the reason', () => {
    const metadata = { scope: 'payments.read' };
    const unauthenticated = failureOf({ kind: 'UNAUTHENTICATED', reason: 'TOKEN_EXPIRED' });
    expect(unauthenticated.code).toBe(status.UNAUTHENTICATED);
    expect(decoded(unauthenticated)?.details).toMatchObject([{ name: 'ErrorInfo', reason: 'TOKEN_EXPIRED' }]);
    const denied = failureOf({ kind: 'PERMISSION_DENIED', reason: 'SCOPE_MISSING', metadata });
    expect(denied.code).toBe(status.PERMISSION_DENIED);
    expect(decoded(denied)?.details).toMatchObject([{ name: 'ErrorInfo', reason: 'SCOPE_MISSING', metadata }]);
  });

  test('NOT_FOUND: NOT_FOUND with what was not found', () => {
    const failure = failureOf({ kind: 'NOT_FOUND', resourceType: 'Payment', resourceName: 'nope' });
    expect(failure.code).toBe(status.NOT_FOUND);
    expect(decoded(failure)?.details).toMatchObject([
      { host, name: 'ResourceInfo', resourceType: 'Payment', resourceName: 'nope' },
    ]);
  });

  test('KEY_REUSED: ALREADY_EXISTS with the fields that differ, as the proto names them', () => {
    const failure = failureOf({ kind: 'KEY_REUSED', paymentId: 'P', differing: ['payerAccountId', 'amountCents'] });
    expect(failure.code).toBe(status.ALREADY_EXISTS);
    expect(decoded(failure)?.details).toMatchObject([
      {
        host,
        name: 'ErrorInfo',
        reason: 'IDEMPOTENCY_KEY_REUSED',
        domain: 'payment-ledger',
        metadata: { fields: 'payer_account_id,amount_cents', payment_id: 'P' },
      },
    ]);
  });

  test('ACCOUNT_EXISTS: ALREADY_EXISTS with the fields that differ', () => {
    const failure = failureOf({ kind: 'ACCOUNT_EXISTS', accountId: 'acc-001', differing: ['overdraftLimitCents'] });
    expect(failure.code).toBe(status.ALREADY_EXISTS);
    expect(decoded(failure)?.details).toMatchObject([
      { name: 'ErrorInfo', reason: 'ACCOUNT_EXISTS', metadata: { fields: 'overdraft_limit_cents' } },
      { name: 'ResourceInfo', resourceType: 'Account', resourceName: 'acc-001' },
    ]);
  });

  test.each([
    ['OVERLOADED', status.RESOURCE_EXHAUSTED],
    ['UNAVAILABLE', status.UNAVAILABLE],
  ] as const)('%s: a code that says when to try again', (kind, code) => {
    const failure = failureOf({ kind, retryAfterMs: 1_250 });
    expect(failure.code).toBe(code);
    expect(decoded(failure)?.details).toMatchObject([
      { host, name: 'RetryInfo', retryDelay: { seconds: 1n, nanos: 250_000_000 } },
    ]);
  });

  test('ABANDONED: DEADLINE_EXCEEDED', () => {
    expect(failureOf({ kind: 'ABANDONED' }).code).toBe(status.DEADLINE_EXCEEDED);
  });

  test.each([new Error('password=secret'), new TransientError('password=secret'), 'password=secret', undefined])(
    'anything else: INTERNAL with an id, what it says only in the log',
    (error) => {
      const lines: string[] = [];
      const log: Logger = pino({}, { write: (line: string) => void lines.push(line) });
      const failure = toFailure(error, log);

      expect(failure.code).toBe(status.INTERNAL);
      expect(failure.metadata.getMap()).toEqual({});
      const [, errorId] = /^Internal error ([0-9a-f-]{36})\.$/.exec(failure.details) ?? [];
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain(errorId);
      if (error !== undefined) expect(lines[0]).toContain('password=secret');
    },
  );

  test('keeps the cause of a ServiceError to itself', () => {
    const failure = toFailure(unavailable('The database cannot be reached.', new Error('password=secret')), silent);
    expect(JSON.stringify([failure, decoded(failure)?.message])).not.toContain('secret');
  });
});
