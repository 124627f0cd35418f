/** Where grpc-js 1.14 keeps the stream of a call, in fields that are not public. */
interface CallInternals {
  readonly call?: { readonly stream?: { readonly session?: unknown } };
}

/**
 * The HTTP/2 session of a call, by which something about the connection can be
 * remembered. grpc-js has no public way to it; the address of the peer would not do,
 * since another client may have it next. Undefined where a later grpc-js keeps it elsewhere.
 */
export function connectionOf(call: object): object | undefined {
  const session = (call as CallInternals).call?.stream?.session;
  return typeof session === 'object' && session !== null ? session : undefined;
}
