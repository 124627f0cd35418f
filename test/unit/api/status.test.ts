import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { type Failure, toFailure } from '../../../src/api/status.ts';
import { type Problem, ServiceError, TransientError, unavailable } from '../../../src/app/errors.ts';
import {
  BadRequest,
  ErrorInfo,
  RequestInfo,
  ResourceInfo,
  RetryInfo,
} from '../../../src/gen/google/rpc/error_details.ts';
import { Status } from '../../../src/gen/google/rpc/status.ts';

function failureOf(problem: Problem): Failure {
  return toFailure(new ServiceError(problem, 'What happened.'), 'req-1');
}

/** The google.rpc.Status that travels with the failure, its details decoded. */
function decoded({ metadata }: Failure) {
  const [packed] = metadata.get('grpc-status-details-bin');
  if (packed === undefined) return undefined;
  const { code, message, details } = Status.decode(packed as Buffer);
  const types = { BadRequest, ErrorInfo, RequestInfo, ResourceInfo, RetryInfo };
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
/** The last detail of every failure. */
const REQUEST = { host, name: 'RequestInfo', requestId: 'req-1' };
const reason = (name: string) => ({ host, name: 'ErrorInfo', reason: name, domain: 'payment-ledger' });

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
      details: [{ host, name: 'BadRequest', fieldViolations: violations }, reason('INVALID_REQUEST'), REQUEST],
    });
  });

  test('TOO_MANY_CALLS: RESOURCE_EXHAUSTED with the reason and when to come again', () => {
    const failure = failureOf({ kind: 'TOO_MANY_CALLS', retryAfterMs: 1_500 });
    expect(failure.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(decoded(failure)?.details).toMatchObject([
      { name: 'ErrorInfo', reason: 'CALLER_RATE_LIMITED' },
      { name: 'RetryInfo', retryDelay: { seconds: 1n, nanos: 500_000_000 } },
      REQUEST,
    ]);
  });

  test('UNAUTHENTICATED and PERMISSION_DENIED: the status of that name with the reason', () => {
    const metadata = { scope: 'payments.read' };
    const unauthenticated = failureOf({ kind: 'UNAUTHENTICATED', reason: 'TOKEN_EXPIRED' });
    expect(unauthenticated.code).toBe(status.UNAUTHENTICATED);
    expect(decoded(unauthenticated)?.details).toMatchObject([reason('TOKEN_EXPIRED'), REQUEST]);
    const denied = failureOf({ kind: 'PERMISSION_DENIED', reason: 'SCOPE_MISSING', metadata });
    expect(denied.code).toBe(status.PERMISSION_DENIED);
    expect(decoded(denied)?.details).toMatchObject([{ ...reason('SCOPE_MISSING'), metadata }, REQUEST]);
  });

  test('NOT_FOUND: NOT_FOUND with what was not found', () => {
    const failure = failureOf({ kind: 'NOT_FOUND', resourceType: 'Payment', resourceName: 'nope' });
    expect(failure.code).toBe(status.NOT_FOUND);
    expect(decoded(failure)?.details).toMatchObject([
      { host, name: 'ResourceInfo', resourceType: 'Payment', resourceName: 'nope' },
      reason('NOT_FOUND'),
      REQUEST,
    ]);
  });

  test('KEY_REUSED: ALREADY_EXISTS with the fields that differ, as the proto names them', () => {
    const failure = failureOf({ kind: 'KEY_REUSED', paymentId: 'P', differing: ['payerAccountId', 'amountCents'] });
    expect(failure.code).toBe(status.ALREADY_EXISTS);
    expect(decoded(failure)?.details).toMatchObject([
      {
        ...reason('IDEMPOTENCY_KEY_REUSED'),
        metadata: { fields: 'payer_account_id,amount_cents', payment_id: 'P' },
      },
      REQUEST,
    ]);
  });

  test('ACCOUNT_EXISTS: ALREADY_EXISTS with the fields that differ', () => {
    const failure = failureOf({ kind: 'ACCOUNT_EXISTS', accountId: 'acc-001', differing: ['overdraftLimitCents'] });
    expect(failure.code).toBe(status.ALREADY_EXISTS);
    expect(decoded(failure)?.details).toMatchObject([
      { name: 'ErrorInfo', reason: 'ACCOUNT_EXISTS', metadata: { fields: 'overdraft_limit_cents' } },
      { name: 'ResourceInfo', resourceType: 'Account', resourceName: 'acc-001' },
      REQUEST,
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
      reason(kind),
      REQUEST,
    ]);
  });

  test('ABANDONED: DEADLINE_EXCEEDED', () => {
    const failure = failureOf({ kind: 'ABANDONED' });
    expect(failure.code).toBe(status.DEADLINE_EXCEEDED);
    expect(decoded(failure)?.details).toMatchObject([reason('ABANDONED'), REQUEST]);
  });

  test.each([new Error('password=secret'), new TransientError('password=secret'), 'password=secret', undefined])(
    'anything else: INTERNAL with an id, and nothing of what it says',
    (error) => {
      const failure = toFailure(error, 'req-1');
      expect(failure.code).toBe(status.INTERNAL);
      const { errorId } = failure;
      expect(errorId).toMatch(/^[0-9a-f-]{36}$/);
      expect(failure.details).toBe(`Internal error ${errorId}.`);
      const details = decoded(failure)?.details;
      expect(details).toMatchObject([{ ...reason('INTERNAL'), metadata: { error_id: errorId } }, REQUEST]);
      expect(`${failure.details}${failure.metadata.get('grpc-status-details-bin')}`).not.toContain('secret');
    },
  );

  test('the id of the request is in the metadata too', () => {
    expect(failureOf({ kind: 'ABANDONED' }).metadata.get('x-request-id')).toEqual(['req-1']);
    expect(toFailure(new Error('x')).metadata.get('x-request-id')).toEqual([]);
  });

  test('keeps the cause of a ServiceError to itself', () => {
    const failure = toFailure(unavailable('The database cannot be reached.', new Error('password=secret')), 'req-1');
    expect(JSON.stringify([failure, decoded(failure)?.message])).not.toContain('secret');
  });
});
