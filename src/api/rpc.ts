import type { handleUnaryCall, MethodDefinition, Server, ServerUnaryCall } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { ServiceError } from '../app/errors.ts';
import type { Span, Tracer } from '../app/tracing.ts';
import type { Access } from './access/access.ts';
import type { Caller, Scope } from './access/caller.ts';
import type { CallLog, CallSummary, LoggedCall } from './call-log.ts';
import { endCallSpan, startCallSpan } from './call-span.ts';
import { requestIdOf, withRequestId } from './request-id.ts';
import { toFailure } from './status.ts';
import { type Decodable, decodeRequest, MalformedRequest } from './wire.ts';

/** One method of a service: how its request is read, and what answers it. */
export interface Rpc<Request, Response> {
  readonly request: Decodable<Request>;
  /** What the caller needs to be allowed. */
  readonly scope: Scope;
  /** May throw anything: status.ts makes a gRPC status of it. */
  handle(request: Request, call: Call): Promise<Response>;
  /** What the log shows of an answer. */
  summary?(response: Response): CallSummary;
}

/** What a handler may know of the call besides its request. */
export interface Call {
  /** Who calls; has the scope of the method. */
  readonly caller: Caller;
  /** Whether the caller has cancelled, or its deadline has passed. */
  abandoned(): boolean;
  /** When the caller's time is up, by Date.now(); Infinity if it waits for ever. */
  deadlineMs(): number;
  /** W3C trace context for what the call causes; undefined if it has none, or a malformed one, and is not sampled. */
  traceparent(): string | undefined;
}

/** An Rpc for every method of a service as ts-proto describes it. */
export type Rpcs<Service> = {
  readonly [Method in keyof Service]: Service[Method] extends MethodDefinition<infer Request, infer Response>
    ? Rpc<Request, Response>
    : never;
};

export interface Instruments {
  readonly callLog: CallLog;
  readonly access: Access;
  /** Not set is off. */
  readonly tracer?: Tracer | undefined;
}

type AnyMethod = MethodDefinition<unknown, unknown>;

/** Adds a service to the server. A method without an Rpc does not compile. */
export function addService<Service extends object>(
  server: Pick<Server, 'addService'>,
  service: Service,
  rpcs: Rpcs<Service>,
  { callLog, access, tracer }: Instruments,
): void {
  const definitions: Record<string, AnyMethod> = {};
  const handlers: Record<string, handleUnaryCall<unknown, unknown>> = {};
  for (const [name, method] of Object.entries(service) as [string, AnyMethod][]) {
    const rpc = rpcs[name as keyof Service] as Rpc<unknown, unknown>;
    definitions[name] = { ...method, requestDeserialize: (bytes) => decodeRequest(rpc.request, bytes) };
    handlers[name] = unary(rpc, method.path, { access, callLog, tracer });
  }
  server.addService(definitions, handlers);
}

/**
 * Wraps an Rpc for grpc-js, which catches only what is thrown synchronously and waits
 * for ever for a callback that does not come. It is a plain function, because grpc-js'
 * interceptors put several objects and calls around each message.
 */
function unary<Request, Response>(
  rpc: Rpc<Request, Response>,
  path: string,
  { access, callLog, tracer }: Instruments,
): handleUnaryCall<Request | MalformedRequest, Response> {
  return (call, callback) => {
    const context = new UnaryCall(call, path);
    context.span = tracer && startCallSpan(tracer, path, context.traceparent());
    const end = (answered: status) => {
      const code = context.outcome(answered);
      if (context.span !== undefined) endCallSpan(context.span, code);
      return code;
    };
    answer(rpc, call, context, access).then(
      (response) => {
        const code = end(status.OK);
        callLog.answered(context, code, () => rpc.summary?.(response) ?? {});
        call.sendMetadata(withRequestId(context.requestId));
        callback(null, response);
      },
      (error) => {
        access.failed(error);
        const failure = toFailure(error, context.requestId);
        const code = end(failure.code);
        callLog.failed(context, code, error, failure);
        callback(failure);
      },
    );
  };
}

/** Async, so that what a handler throws before its first await is a rejection too. */
async function answer<Request, Response>(
  rpc: Rpc<Request, Response>,
  call: ServerUnaryCall<Request | MalformedRequest, Response>,
  context: UnaryCall,
  access: Access,
): Promise<Response> {
  const identified = access.identify(call);
  const caller = identified instanceof Promise ? await identified : identified;
  context.caller = caller;
  const permitted = access.permit(caller, rpc.scope);
  if (permitted !== undefined) await permitted;
  const { request } = call;
  if (!(request instanceof MalformedRequest)) return rpc.handle(request, context as Call);
  throw new ServiceError({ kind: 'INVALID_REQUEST', violations: [] }, 'The request is no valid protobuf message.', {
    cause: request.reason,
  });
}

/** https://www.w3.org/TR/trace-context/#traceparent-header: neither version ff nor ids of zeros only. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

class UnaryCall implements Omit<Call, 'caller'>, LoggedCall {
  readonly method: string;
  readonly startedAtMs = performance.now();
  readonly requestId: string;
  /** Undefined until it is known. */
  caller: Caller | undefined;
  /** Undefined unless the call is traced. */
  span: Span | undefined;
  readonly #call: ServerUnaryCall<unknown, unknown>;

  constructor(call: ServerUnaryCall<unknown, unknown>, method: string) {
    this.#call = call;
    this.method = method;
    this.requestId = requestIdOf(call.metadata);
  }

  abandoned(): boolean {
    return this.#call.cancelled || this.#late();
  }

  deadlineMs(): number {
    return Number(this.#call.getDeadline());
  }

  traceparent(): string | undefined {
    if (this.span !== undefined) return this.span.traceparent;
    const value = this.#call.metadata.get('traceparent')[0];
    return typeof value === 'string' && TRACEPARENT.test(value) ? value : undefined;
  }

  /** What the caller has seen: nothing of our answer if the call had ended before. */
  outcome(answered: status): status {
    if (!this.#call.cancelled) return answered;
    return this.#late() ? status.DEADLINE_EXCEEDED : status.CANCELLED;
  }

  /** grpc-js ends a call at its deadline by a timer, which a busy event loop runs late. */
  #late(): boolean {
    return Date.now() >= this.deadlineMs();
  }
}
