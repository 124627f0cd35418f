import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { type MethodDefinition, type Server, status } from '@grpc/grpc-js';
import type { Registry } from 'prom-client';
import { CODE_NAMES } from './codes.ts';
import { Observations, type Reading, readOnScrape } from './on-scrape.ts';

const BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Callers give up at their deadline by their own clock, in which the request took no time to travel. */
const DEADLINE_SLACK_MS = 25;

/** What is counted of one method. */
class MethodTally {
  readonly labels: Readonly<Record<'grpc_type' | 'grpc_service' | 'grpc_method', string>>;
  started = 0;
  ended = 0;
  /** By code. */
  readonly handled: number[] = new Array(CODE_NAMES.length).fill(0);
  readonly seconds = new Observations(BUCKETS_S);

  constructor(grpc_type: string, grpc_service: string, grpc_method: string) {
    this.labels = { grpc_type, grpc_service, grpc_method };
  }
}

interface OpenCall {
  readonly method: MethodTally;
  readonly startedAt: number;
  readonly timeout: string | undefined;
}

/**
 * Counts and times calls, under the names that dashboards for gRPC servers know
 * from go-grpc-middleware. It watches the HTTP/2 streams of this process, so it sees
 * every call, also those that no handler does: of methods that there are not, too
 * large, ended by their callers. Those of unknown methods have one name, for a
 * caller could think of any number.
 */
export class CallMetrics {
  readonly #methods = new Map<string, MethodTally>();
  readonly #unknown = new MethodTally('unknown', 'unknown', 'unknown');
  readonly #open = new Map<ServerHttp2Stream, OpenCall>();

  constructor(registry: Registry) {
    this.#show(registry);
    subscribe('http2.server.stream.start', this.#started);
    subscribe('http2.server.stream.close', this.#closed);
  }

  /** Adds services to the server whose methods are counted by their names. */
  named(server: Pick<Server, 'addService'>): Pick<Server, 'addService'> {
    return {
      addService: (service, handlers) => {
        for (const method of Object.values(service)) this.#methods.set(method.path, tallyOf(method));
        server.addService(service, handlers);
      },
    };
  }

  /** Counts no more. */
  close(): void {
    unsubscribe('http2.server.stream.start', this.#started);
    unsubscribe('http2.server.stream.close', this.#closed);
  }

  readonly #started = (message: unknown): void => {
    const { stream, headers } = message as { stream: ServerHttp2Stream; headers: IncomingHttpHeaders };
    const method = this.#methods.get(headers[':path'] ?? '') ?? this.#unknown;
    method.started += 1;
    const timeout = headers['grpc-timeout'] as string | undefined;
    this.#open.set(stream, { method, startedAt: performance.now(), timeout });
  };

  readonly #closed = (message: unknown): void => {
    const { stream } = message as { stream: ServerHttp2Stream };
    const call = this.#open.get(stream);
    // One that was open before we counted.
    if (call === undefined) return;
    this.#open.delete(stream);
    const { method, startedAt } = call;
    const durationMs = performance.now() - startedAt;
    const code = codeOf(stream) ?? (isLate(durationMs, call.timeout) ? status.DEADLINE_EXCEEDED : status.CANCELLED);
    method.ended += 1;
    method.handled[code]! += 1;
    method.seconds.observe(durationMs / 1_000);
  };

  #show(registry: Registry): void {
    const all = () => [...this.#methods.values(), this.#unknown];
    const show = (name: string, type: 'counter' | 'gauge' | 'histogram', help: string, read: ReadMethod) =>
      readOnScrape(registry, { name, help, type }, () => all().flatMap((method) => [...read(method)]));

    show('grpc_server_started_total', 'counter', 'Calls that began.', ({ labels, started }) => [
      { labels, value: started },
    ]);
    show('grpc_server_handled_total', 'counter', 'Calls that ended, by the code their caller got.', (method) =>
      method.handled.map((value, code) => ({ labels: { ...method.labels, grpc_code: CODE_NAMES[code]! }, value })),
    );
    const handling = 'grpc_server_handling_seconds';
    show(handling, 'histogram', 'From the first byte of a call to the last of its answer.', ({ seconds, labels }) =>
      seconds.readings(handling, labels),
    );
    show('payment_ledger_calls_in_flight', 'gauge', 'Calls that have not ended.', ({ labels, started, ended }) => [
      { labels, value: started - ended },
    ]);
  }
}

type ReadMethod = (method: MethodTally) => Iterable<Reading>;

function tallyOf({
  path,
  requestStream,
  responseStream,
}: Pick<MethodDefinition<unknown, unknown>, 'path' | 'requestStream' | 'responseStream'>) {
  const [service = '', method = ''] = path.slice(1).split('/');
  const streaming = requestStream ? (responseStream ? 'bidi_stream' : 'client_stream') : 'server_stream';
  return new MethodTally(requestStream || responseStream ? streaming : 'unary', service, method);
}

/** The code that was sent; undefined if the call ended before. */
function codeOf({ sentTrailers, sentHeaders }: ServerHttp2Stream): number | undefined {
  // With nothing but a status to send, it goes with the headers.
  const sent = Number(sentTrailers?.['grpc-status'] ?? sentHeaders?.['grpc-status']);
  // 415 is what a request gets that is not gRPC.
  if (Number.isNaN(sent)) return sentHeaders?.[':status'] === 415 ? status.INVALID_ARGUMENT : undefined;
  return sent < CODE_NAMES.length ? sent : status.UNKNOWN;
}

const UNITS_MS: Readonly<Record<string, number>> = {
  n: 1e-6,
  u: 1e-3,
  m: 1,
  S: 1_000,
  M: 60_000,
  H: 3_600_000,
};

/** Whether a call has lasted for its grpc-timeout, such as 1500m: a number and a unit. */
function isLate(durationMs: number, timeout: string | undefined): boolean {
  if (timeout === undefined) return false;
  const timeoutMs = Number(timeout.slice(0, -1)) * (UNITS_MS[timeout.slice(-1)] ?? Number.NaN);
  return durationMs >= timeoutMs - DEADLINE_SLACK_MS;
}
