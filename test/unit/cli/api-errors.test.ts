import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { unauthenticated } from '../../../src/api/access/denials.ts';
import { toFailure } from '../../../src/api/status.ts';
import { ServiceError as Failure, notFound, type Problem, unavailable } from '../../../src/app/errors.ts';
import { toCommandError } from '../../../src/cli/api-errors.ts';
import { loadCallerConfig } from '../../../src/config/caller.ts';

const config = loadCallerConfig({ LEDGER_ADDRESS: '127.0.0.1:9', LEDGER_DEADLINE_MS: '500' });

/** As the API answers it. */
function answered(error: unknown): ServiceError {
  return Object.assign(new Error('as gRPC has it'), toFailure(error, 'request-1'));
}

/** As gRPC itself ends a call. */
function ended(code: status, details = 'why'): ServiceError {
  return Object.assign(new Error(details), { code, details, metadata: new Metadata() });
}

const problem = (it: Problem) => answered(new Failure(it, 'It is so.'));
const invalid = {
  kind: 'INVALID_REQUEST',
  violations: [{ field: 'currency', description: 'is no currency' }],
} as const;
const reused = { kind: 'KEY_REUSED', paymentId: 'p', differing: ['amountCents'] } as const;
const denied = { kind: 'PERMISSION_DENIED', reason: 'SCOPE_MISSING', metadata: {} } as const;

test.each([
  [answered(notFound('Account', 'acc-1')), 3, 'NOT_FOUND: There is no account acc-1.\n(request request-1)'],
  [problem(invalid), 2, 'INVALID_ARGUMENT INVALID_REQUEST: It is so.\n  currency: is no currency\n(request request-1)'],
  [problem(reused), 7, 'ALREADY_EXISTS IDEMPOTENCY_KEY_REUSED: It is so.\n(request request-1)'],
  [problem(denied), 6, 'PERMISSION_DENIED SCOPE_MISSING: It is so.\n(request request-1)'],
  [
    problem({ kind: 'ACCOUNT_REFUSED', accountId: 'acc-1', reason: 'ACCOUNT_NOT_EMPTY' }),
    8,
    'FAILED_PRECONDITION ACCOUNT_NOT_EMPTY: It is so.\n(request request-1)',
  ],
  [
    problem({ kind: 'ACCOUNT_REFUSED', accountId: 'acc-1', reason: 'ETAG_MISMATCH' }),
    8,
    'ABORTED ETAG_MISMATCH: It is so.\nLook at it again: ledger accounts show.\n(request request-1)',
  ],
  [answered(unavailable('It is down.')), 5, 'UNAVAILABLE: It is down.\nTry again in 1000 ms.\n(request request-1)'],
  [
    problem({ kind: 'OVERLOADED', retryAfterMs: 250 }),
    5,
    'RESOURCE_EXHAUSTED OVERLOADED: It is so.\nTry again in 250 ms.\n(request request-1)',
  ],
])('what the API answers is told by name: %#', (error, exitCode, message) => {
  expect(toCommandError(error, config)).toMatchObject({ exitCode, message });
});

test.each([
  [ended(status.UNAVAILABLE), 5, 'at 127.0.0.1:9: see --address'],
  [ended(status.DEADLINE_EXCEEDED), 5, 'within 500 ms: see --deadline-ms'],
  [ended(status.UNIMPLEMENTED), 1, 'older than this command'],
  [ended(status.INTERNAL), 1, 'INTERNAL: why'],
  [answered(unauthenticated('TOKEN_EXPIRED', 'no')), 6, '--token-file'],
  [answered(unauthenticated('CERTIFICATE_MISSING', 'no')), 6, '--cert-file'],
])('what to do is said: %#', (error, exitCode, advice) => {
  const told = toCommandError(error, config);
  expect(told.exitCode).toBe(exitCode);
  expect(told.message).toContain(advice);
});
