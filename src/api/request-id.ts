import { randomUUID } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';

/** Where proxies and callers put the id by which they know a call, and where they find it in the answer. */
export const REQUEST_ID_KEY = 'x-request-id';

/** Long enough for UUIDs, ULIDs and what proxies make; nothing that could break a log line or hide in it. */
const REQUEST_ID = /^[\w.:@/+=-]{1,128}$/;

/** The call's own id; a new one if it has none, several or one that is not fit for a log. */
export function requestIdOf(metadata: Metadata): string {
  const [id, ...others] = metadata.get(REQUEST_ID_KEY);
  return typeof id === 'string' && others.length === 0 && REQUEST_ID.test(id) ? id : randomUUID();
}

/** What an answer begins with. */
export function withRequestId(requestId: string): Metadata {
  const metadata = new Metadata();
  metadata.set(REQUEST_ID_KEY, requestId);
  return metadata;
}
