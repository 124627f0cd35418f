import type { ServiceError } from '@grpc/grpc-js';

/** The error that a call ends with; fails if it succeeds. */
export async function rejection(call: Promise<unknown>): Promise<ServiceError> {
  return call.then(
    (answer) => {
      throw new Error(
        `expected an error, got ${JSON.stringify(answer, (_, v) => (typeof v === 'bigint' ? `${v}` : v))}`,
      );
    },
    (error: ServiceError) => error,
  );
}
