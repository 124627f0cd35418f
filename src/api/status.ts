import { randomUUID } from 'node:crypto';
import { Metadata, status } from '@grpc/grpc-js';
import { type Problem, ServiceError } from '../app/errors.ts';
import type { Any } from '../gen/google/protobuf/any.ts';
import { BadRequest, ErrorInfo, RequestInfo, ResourceInfo, RetryInfo } from '../gen/google/rpc/error_details.ts';
import { Status } from '../gen/google/rpc/status.ts';
import { withRequestId } from './request-id.ts';

/** How a failed call ends, in the form that grpc-js takes. */
export interface Failure {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
  /** By which an error that nobody foresaw is found in the log. */
  readonly errorId?: string;
}

/** Clients of every gRPC library look for google.rpc.Status under this key. */
const DETAILS_KEY = 'grpc-status-details-bin';

/** ErrorInfo.domain: whose reasons these are. */
const DOMAIN = 'payment-ledger';

/**
 * The one place where an error becomes a gRPC status with google.rpc details: what is
 * wrong, the reason by name, and the request's id. Any other error becomes INTERNAL with
 * an id by which it is found in the log; its message never leaves the process.
 */
export function toFailure(error: unknown, requestId?: string): Failure {
  if (error instanceof ServiceError) {
    const { problem, message } = error;
    return failure(codeOf(problem), message, describe(problem), requestId);
  }
  const errorId = randomUUID();
  const details = [errorInfo('INTERNAL', { error_id: errorId })];
  return { ...failure(status.INTERNAL, `Internal error ${errorId}.`, details, requestId), errorId };
}

const codes: Readonly<Record<Problem['kind'], status>> = {
  INVALID_REQUEST: status.INVALID_ARGUMENT,
  NOT_FOUND: status.NOT_FOUND,
  KEY_REUSED: status.ALREADY_EXISTS,
  ACCOUNT_EXISTS: status.ALREADY_EXISTS,
  ACCOUNT_REFUSED: status.FAILED_PRECONDITION,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  TOO_MANY_CALLS: status.RESOURCE_EXHAUSTED,
  OVERLOADED: status.RESOURCE_EXHAUSTED,
  UNAVAILABLE: status.UNAVAILABLE,
  // The caller has gone, mostly because its time was up; a caller that cancelled hears nothing anyway.
  ABANDONED: status.DEADLINE_EXCEEDED,
};

function codeOf(problem: Problem): status {
  // https://google.aip.dev/154
  if (problem.kind === 'ACCOUNT_REFUSED' && problem.reason === 'ETAG_MISMATCH') return status.ABORTED;
  return codes[problem.kind];
}

function describe(problem: Problem): Any[] {
  switch (problem.kind) {
    case 'INVALID_REQUEST':
      return [badRequest(problem.violations), errorInfo(problem.kind)];
    case 'NOT_FOUND':
      return [resourceInfo(problem.resourceType, problem.resourceName), errorInfo(problem.kind)];
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
    case 'ACCOUNT_REFUSED':
      return [errorInfo(problem.reason, { account_id: problem.accountId }), resourceInfo('Account', problem.accountId)];
    case 'UNAUTHENTICATED':
      return [errorInfo(problem.reason)];
    case 'PERMISSION_DENIED':
      return [errorInfo(problem.reason, problem.metadata)];
    case 'TOO_MANY_CALLS':
      return [errorInfo('CALLER_RATE_LIMITED'), retryInfo(problem.retryAfterMs)];
    case 'OVERLOADED':
    case 'UNAVAILABLE':
      return [retryInfo(problem.retryAfterMs), errorInfo(problem.kind)];
    case 'ABANDONED':
      return [errorInfo(problem.kind)];
  }
}

function failure(code: status, message: string, details: Any[], requestId: string | undefined): Failure {
  const metadata = requestId === undefined ? new Metadata() : withRequestId(requestId);
  if (requestId !== undefined) details.push(requestInfo(requestId));
  metadata.set(DETAILS_KEY, Buffer.from(Status.encode({ code, message, details }).finish()));
  return { code, details: message, metadata };
}

function badRequest(violations: readonly { field: string; description: string }[]): Any {
  const fieldViolations = violations.map((violation) => ({ ...violation, reason: '', localizedMessage: undefined }));
  return any('BadRequest', BadRequest.encode({ fieldViolations }).finish());
}

function resourceInfo(resourceType: string, resourceName: string): Any {
  return any('ResourceInfo', ResourceInfo.encode({ resourceType, resourceName, owner: '', description: '' }).finish());
}

function errorInfo(reason: string, metadata: Record<string, string> = {}): Any {
  return any('ErrorInfo', ErrorInfo.encode({ reason, domain: DOMAIN, metadata }).finish());
}

function requestInfo(requestId: string): Any {
  return any('RequestInfo', RequestInfo.encode({ requestId, servingData: '' }).finish());
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
