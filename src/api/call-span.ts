import { status } from '@grpc/grpc-js';
import type { Span, Tracer } from '../app/tracing.ts';

/** Codes that count as the server's failure; the others tell a caller what is wrong with its call. */
const FAILURES = new Set([
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
  status.UNIMPLEMENTED,
  status.INTERNAL,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);

/** Named and judged as https://opentelemetry.io/docs/specs/semconv/rpc/grpc/ has it. path is /service/method. */
export function startCallSpan(tracer: Tracer, path: string, parent: string | undefined): Span | undefined {
  const method = path.slice(1);
  return tracer.start({
    name: method,
    kind: 'SERVER',
    parent,
    attributes: { 'rpc.system.name': 'grpc', 'rpc.method': method },
  });
}

export function endCallSpan(span: Span, code: status): void {
  const failed = FAILURES.has(code);
  const name = status[code];
  span.end({ failed, attributes: { 'rpc.response.status_code': name, ...(failed && { 'error.type': name }) } });
}
