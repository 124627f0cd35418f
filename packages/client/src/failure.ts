import { type ServiceError, status } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, RequestInfo, RetryInfo } from '../../../src/gen/google/rpc/error_details.ts';
import { Status } from '../../../src/gen/google/rpc/status.ts';
import {
  AccountExistsError,
  CallFailedError,
  ChangeRefusedError,
  DeadlineExceededError,
  EtagMismatchError,
  type FailedCall,
  IdempotencyKeyReusedError,
  InvalidRequestError,
  NotFoundError,
  PermissionDeniedError,
  UnauthenticatedError,
  UnavailableError,
} from './call-errors.ts';
import type { LedgerError } from './errors.ts';

interface Details {
  badRequest?: BadRequest;
  errorInfo?: ErrorInfo;
  retryInfo?: RetryInfo;
  requestInfo?: RequestInfo;
}

/** A gRPC error as one of this client's, by its status and the google.rpc details that came with it. */
export function toLedgerError(error: ServiceError): CallFailedError {
  const { badRequest, errorInfo, retryInfo, requestInfo } = detailsOf(error);
  const call: FailedCall = {
    status: status[error.code] ?? String(error.code),
    reason: errorInfo?.reason,
    requestId: requestInfo?.requestId,
    retryAfterMs: milliseconds(retryInfo),
  };
  const message = error.details;
  if (call.reason === 'ETAG_MISMATCH') return new EtagMismatchError(message, call);
  switch (error.code) {
    case status.INVALID_ARGUMENT:
      return new InvalidRequestError(
        message,
        call,
        (badRequest?.fieldViolations ?? []).map(({ field, description }) => ({ field, description })),
      );
    case status.ALREADY_EXISTS: {
      const fields = (errorInfo?.metadata['fields'] ?? '').split(',');
      if (errorInfo?.reason === 'ACCOUNT_EXISTS') return new AccountExistsError(message, call, fields);
      return new IdempotencyKeyReusedError(message, call, errorInfo?.metadata['payment_id'] ?? '', fields);
    }
    case status.NOT_FOUND:
      return new NotFoundError(message, call);
    case status.FAILED_PRECONDITION:
      return new ChangeRefusedError(message, call);
    case status.UNAUTHENTICATED:
      return new UnauthenticatedError(message, call);
    case status.PERMISSION_DENIED:
      return new PermissionDeniedError(message, call);
    case status.DEADLINE_EXCEEDED:
      return new DeadlineExceededError(message, call);
    case status.UNAVAILABLE:
    case status.RESOURCE_EXHAUSTED:
      return new UnavailableError(message, call);
    default:
      return new CallFailedError(message, call, { cause: error });
  }
}

/** Whether the same call may succeed a little later, and does no harm if the first one took hold. */
export function isWorthRepeating(error: LedgerError): boolean {
  if (!(error instanceof UnavailableError)) return false;
  // A message that is too large stays so; what will pass says when.
  return error.status === 'UNAVAILABLE' || error.retryAfterMs !== undefined;
}

/** Statuses by which the service says that it has not even begun; NOT_FOUND, that there is nothing to act on. */
const NOT_BEGUN: readonly string[] = [
  'INVALID_ARGUMENT',
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'UNIMPLEMENTED',
  'NOT_FOUND',
];
const NOT_BEGUN_REASONS: readonly (string | undefined)[] = ['OVERLOADED', 'CALLER_RATE_LIMITED'];

/** Whether the payment of a call that failed so may exist nevertheless. */
export function leavesOutcomeOpen(error: LedgerError): boolean {
  if (!(error instanceof CallFailedError)) return false;
  if (error instanceof IdempotencyKeyReusedError) return false;
  return !NOT_BEGUN.includes(error.status) && !NOT_BEGUN_REASONS.includes(error.reason);
}

function detailsOf(error: ServiceError): Details {
  const [packed] = error.metadata.get('grpc-status-details-bin');
  if (!(packed instanceof Uint8Array)) return {};
  const details: Details = {};
  for (const { typeUrl, value } of Status.decode(packed).details) {
    if (typeUrl.endsWith('/google.rpc.BadRequest')) details.badRequest = BadRequest.decode(value);
    if (typeUrl.endsWith('/google.rpc.ErrorInfo')) details.errorInfo = ErrorInfo.decode(value);
    if (typeUrl.endsWith('/google.rpc.RetryInfo')) details.retryInfo = RetryInfo.decode(value);
    if (typeUrl.endsWith('/google.rpc.RequestInfo')) details.requestInfo = RequestInfo.decode(value);
  }
  return details;
}

function milliseconds(retryInfo: RetryInfo | undefined): number | undefined {
  const delay = retryInfo?.retryDelay;
  return delay === undefined ? undefined : Number(delay.seconds) * 1_000 + delay.nanos / 1e6;
}
