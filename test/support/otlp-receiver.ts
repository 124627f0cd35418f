import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A span as it was exported: https://opentelemetry.io/docs/specs/otlp/, in JSON. */
export interface ReceivedSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status: { readonly code?: number };
}

export interface OtlpReceiver {
  /** Makes a process trace every call unless its caller says otherwise, and export to here, in JSON and soon. */
  readonly env: Readonly<Record<string, string>>;
  readonly spans: readonly ReceivedSpan[];
  /** Everything as it came in. */
  readonly bodies: readonly string[];
  /** How many requests came, answered or not. */
  readonly requests: number;
  /** Of the last request. */
  readonly authorization: string | undefined;
  /** What to answer with from now on; undefined never answers. */
  answerWith(status: number | undefined): void;
  /** The spans once the condition holds for them; fails after ten seconds. */
  until(condition: (spans: readonly ReceivedSpan[]) => boolean): Promise<readonly ReceivedSpan[]>;
  close(): Promise<void>;
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface ExportRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly (Omit<ReceivedSpan, 'attributes'> & Raw)[] }[];
  }[];
}

interface Raw {
  readonly attributes?: readonly Attribute[];
}

/** A collector of traces in this process: takes POST /v1/traces. */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const bodies: string[] = [];
  let requests = 0;
  let authorization: string | undefined;
  let status: number | undefined = 200;
  const server = createServer(async (request, response) => {
    requests += 1;
    authorization = request.headers.authorization;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    if (status === undefined) return;
    const body = Buffer.concat(chunks).toString();
    if (status === 200 && request.url === '/v1/traces') {
      bodies.push(body);
      spans.push(...decode(JSON.parse(body)));
    }
    response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '50',
      OTEL_TRACES_SAMPLER: 'parentbased_always_on',
    },
    spans,
    bodies,
    get authorization() {
      return authorization;
    },
    get requests() {
      return requests;
    },
    answerWith(next) {
      status = next;
    },
    async until(condition) {
      const deadline = Date.now() + 60_000;
      while (!condition(spans)) {
        if (Date.now() > deadline) throw new Error(`only these spans came: ${JSON.stringify(spans, undefined, 2)}`);
        await sleep(50);
      }
      return [...spans];
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function* decode({ resourceSpans }: ExportRequest): Generator<ReceivedSpan> {
  for (const { resource, scopeSpans } of resourceSpans) {
    const service = values(resource.attributes)['service.name'] ?? '';
    for (const span of scopeSpans.flatMap((scope) => scope.spans)) {
      yield { ...span, service, attributes: values(span.attributes ?? []), links: span.links ?? [] };
    }
  }
}

/** Numbers and booleans as text. */
function values(attributes: readonly Attribute[]): Record<string, string> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, String(Object.values(value)[0])]));
}
