import type { ServiceError } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, ResourceInfo, RetryInfo } from '../../src/gen/google/rpc/error_details.ts';
import { Status } from '../../src/gen/google/rpc/status.ts';

export interface ErrorDetails {
  badRequest?: BadRequest;
  errorInfo?: ErrorInfo;
  resourceInfo?: ResourceInfo;
  retryInfo?: RetryInfo;
}

/** The google.rpc details that came with a gRPC error. */
export function errorDetails(error: ServiceError): ErrorDetails {
  const [packed] = error.metadata.get('grpc-status-details-bin');
  if (packed === undefined) return {};
  const details: ErrorDetails = {};
  for (const { typeUrl, value } of Status.decode(packed as Buffer).details) {
    if (typeUrl.endsWith('/google.rpc.BadRequest')) details.badRequest = BadRequest.decode(value);
    if (typeUrl.endsWith('/google.rpc.ErrorInfo')) details.errorInfo = ErrorInfo.decode(value);
    if (typeUrl.endsWith('/google.rpc.ResourceInfo')) details.resourceInfo = ResourceInfo.decode(value);
    if (typeUrl.endsWith('/google.rpc.RetryInfo')) details.retryInfo = RetryInfo.decode(value);
  }
  return details;
}
