import { type ServiceError, status } from '@grpc/grpc-js';
import type { CallerConfig } from '../config/caller.ts';
import { BadRequest, ErrorInfo, RequestInfo, RetryInfo } from '../gen/google/rpc/error_details.ts';
import { Status } from '../gen/google/rpc/status.ts';
import { CommandError, ExitCode } from './exit-codes.ts';

interface Details {
  violations: { readonly field: string; readonly description: string }[];
  reason?: string;
  requestId?: string;
  retryAfterMs?: number;
}

const exitCodes: Partial<Record<status, ExitCode>> = {
  [status.INVALID_ARGUMENT]: ExitCode.USAGE,
  [status.NOT_FOUND]: ExitCode.NOT_FOUND,
  [status.UNAVAILABLE]: ExitCode.UNAVAILABLE,
  [status.DEADLINE_EXCEEDED]: ExitCode.UNAVAILABLE,
  [status.RESOURCE_EXHAUSTED]: ExitCode.UNAVAILABLE,
  [status.UNAUTHENTICATED]: ExitCode.DENIED,
  [status.PERMISSION_DENIED]: ExitCode.DENIED,
  [status.ALREADY_EXISTS]: ExitCode.TAKEN,
  [status.FAILED_PRECONDITION]: ExitCode.REFUSED,
  [status.ABORTED]: ExitCode.REFUSED,
};

/** A failed call as its caller is told of it: what is wrong, by name, and what to do. */
export function toCommandError(error: ServiceError, config: CallerConfig): CommandError {
  const details = detailsOf(error);
  const { violations, reason, requestId } = details;
  const name = [status[error.code], ...(reason === undefined || reason === status[error.code] ? [] : [reason])];
  const lines = [
    `${name.join(' ')}: ${error.details.replace(/ Resolution note: $/, '')}`,
    ...violations.map(({ field, description }) => `  ${field}: ${description}`),
    ...[advice(error, details, config)].filter((line) => line !== undefined),
    ...(requestId === undefined ? [] : [`(request ${requestId})`]),
  ];
  return new CommandError(lines.join('\n'), exitCodes[error.code] ?? ExitCode.FAILED, { cause: error });
}

function advice(error: ServiceError, { retryAfterMs, reason }: Details, config: CallerConfig): string | undefined {
  if (retryAfterMs !== undefined) return `Try again in ${retryAfterMs} ms.`;
  switch (error.code) {
    case status.UNAVAILABLE:
      return `Nothing answers as it should at ${config.address}${config.tls === undefined ? '' : ' over TLS'}: see --address, --tls and --ca-file.`;
    case status.DEADLINE_EXCEEDED:
      return `There was no answer from ${config.address} within ${config.deadlineMs} ms: see --deadline-ms.`;
    case status.UNAUTHENTICATED:
      return reason?.startsWith('CERTIFICATE_')
        ? 'Show a client certificate: --cert-file and --key-file.'
        : 'Show a token that the API takes: LEDGER_TOKEN_FILE or --token-file.';
    case status.ABORTED:
      return 'Look at it again: ledger accounts show.';
    case status.UNIMPLEMENTED:
      return 'The API has no such call: it may be older than this command.';
    default:
      return undefined;
  }
}

/** The google.rpc details that came with it. */
function detailsOf(error: ServiceError): Details {
  const details: Details = { violations: [] };
  const [packed] = error.metadata.get('grpc-status-details-bin');
  if (packed === undefined) return details;
  for (const { typeUrl, value } of Status.decode(packed as Buffer).details) {
    switch (typeUrl.slice(typeUrl.lastIndexOf('.') + 1)) {
      case 'BadRequest':
        details.violations.push(...BadRequest.decode(value).fieldViolations);
        break;
      case 'ErrorInfo':
        details.reason = ErrorInfo.decode(value).reason;
        break;
      case 'RequestInfo':
        details.requestId = RequestInfo.decode(value).requestId;
        break;
      case 'RetryInfo': {
        const { seconds, nanos } = RetryInfo.decode(value).retryDelay ?? { seconds: 0n, nanos: 0 };
        details.retryAfterMs = Number(seconds) * 1_000 + Math.ceil(nanos / 1e6);
      }
    }
  }
  return details;
}
