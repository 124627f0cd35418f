import { randomUUID } from 'node:crypto';
import { Metadata, status } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import { type Problem, ServiceError } from '../app/errors.ts';
import type { Any } from '../gen/google/protobuf/any.ts';
import { BadRequest, ErrorInfo, ResourceInfo, RetryInfo } from '../gen/google/rpc/error_details.ts';
import { Status } from '../gen/google/rpc/status.ts';

/** How a failed call ends, in the form that grpc-js takes. */
export interface Failure {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Clients of every gRPC library look for google.rpc.Status under this key. */
const DETAILS_KEY = 'grpc-status-details-bin';

/** ErrorInfo.domain: whose reasons these are. */
const DOMAIN = 'payment-ledger';

/**
 * The one place where an error becomes a gRPC status with google.rpc details. Any
 * other error becomes INTERNAL with an id by which it is found in the log; its message
 * never leaves the process.
 */
export function toFailure(error: unknown, log: Logger): Failure {
  if (error instanceof ServiceError) {
    if (error.cause !== undefined) logCause(error, log);
    return failure(codes[error.problem.kind], error.message, describe(error.problem));
  }
  const errorId = randomUUID();
  log.error({ err: error, errorId }, 'call failed unexpectedly');
  return failure(status.INTERNAL, `Internal error ${errorId}.`, []);
}

/** At most one warning in this time, so that an outage does not flood the log. */
const WARN_EVERY_MS = 1_000;
let warnedAtMs = Number.NEGATIVE_INFINITY;

/** Logs what the caller is not told. */
function logCause(error: ServiceError, log: Logger): void {
  const nowMs = performance.now();
  if (error.problem.kind === 'UNAVAILABLE' && nowMs - warnedAtMs >= WARN_EVERY_MS) {
    warnedAtMs = nowMs;
    log.warn({ err: error }, 'calls fail: the database is unavailable');
  } else {
    log.debug({ err: error }, 'call failed');
  }
}

const codes: Readonly<Record<Problem['kind'], status>> = {
  INVALID_REQUEST: status.INVALID_ARGUMENT,
  NOT_FOUND: status.NOT_FOUND,
  KEY_REUSED: status.ALREADY_EXISTS,
  ACCOUNT_EXISTS: status.ALREADY_EXISTS,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  TOO_MANY_CALLS: status.RESOURCE_EXHAUSTED,
  OVERLOADED: status.RESOURCE_EXHAUSTED,
  UNAVAILABLE: status.UNAVAILABLE,
  // The caller has gone, mostly because its time was up; a caller that cancelled hears nothing anyway.
  ABANDONED: status.DEADLINE_EXCEEDED,
};

function describe(problem: Problem): Any[] {
  switch (problem.kind) {
    case 'INVALID_REQUEST':
      return [badRequest(problem.violations)];
    case 'NOT_FOUND':
      return [resourceInfo(problem.resourceType, problem.resourceName)];
    case 'KEY_REUSED':
      return [
        errorInfo('IDEMPOTENCY_KEY_REUSED', {
          fields: protoNames(problem.differing),
          payment_id: problem.paymentId,
        }),
      ];
    case 'ACCOUNT_EXISTS':
      return [
        errorInfo('ACCOUNT_EXISTS', { fields: protoNames(problem.differing), account_id: problem.accountId }),
        resourceInfo('Account', problem.accountId),
      ];
    case 'UNAUTHENTICATED':
      return [errorInfo(problem.reason, {})];
    case 'PERMISSION_DENIED':
      return [errorInfo(problem.reason, problem.metadata)];
    case 'TOO_MANY_CALLS':
      return [errorInfo('CALLER_RATE_LIMITED', {}), retryInfo(problem.retryAfterMs)];
    case 'OVERLOADED':
    case 'UNAVAILABLE':
      return [retryInfo(problem.retryAfterMs)];
    case 'ABANDONED':
      return [];
  }
}

function failure(code: status, message: string, details: Any[]): Failure {
  const metadata = new Metadata();
  if (details.length > 0) {
    metadata.set(DETAILS_KEY, Buffer.from(Status.encode({ code, message, details }).finish()));
  }
  return { code, details: message, metadata };
}

function badRequest(violations: readonly { field: string; description: string }[]): Any {
  const fieldViolations = violations.map((violation) => ({ ...violation, reason: '', localizedMessage: undefined }));
  return any('BadRequest', BadRequest.encode({ fieldViolations }).finish());
}

function resourceInfo(resourceType: string, resourceName: string): Any {
  return any('ResourceInfo', ResourceInfo.encode({ resourceType, resourceName, owner: '', description: '' }).finish());
}

function errorInfo(reason: string, metadata: Record<string, string>): Any {
  return any('ErrorInfo', ErrorInfo.encode({ reason, domain: DOMAIN, metadata }).finish());
}

function retryInfo(retryAfterMs: number): Any {
  const seconds = Math.floor(retryAfterMs / 1_000);
  const retryDelay = { seconds: BigInt(seconds), nanos: Math.round((retryAfterMs - seconds * 1_000) * 1e6) };
  return any('RetryInfo', RetryInfo.encode({ retryDelay }).finish());
}

function any(name: string, value: Uint8Array): Any {
  return { typeUrl: `type.googleapis.com/google.rpc.${name}`, value: Buffer.from(value) };
}

/** Fields by the names they have in the proto: amountCents is amount_cents there. */
function protoNames(fields: readonly string[]): string {
  return fields.map((field) => field.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`)).join(',');
}
