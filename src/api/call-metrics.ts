import { status } from '@grpc/grpc-js';
import { Counter, Histogram, type Registry } from 'prom-client';

/** Called once for each call, when it ends. */
export type CallObserver = (code: status, durationMs: number) => void;

/**
 * Counts and times calls, under the names that dashboards for gRPC servers know
 * from go-grpc-middleware.
 */
export class CallMetrics {
  readonly #handled: Counter<'grpc_service' | 'grpc_method' | 'grpc_code'>;
  readonly #duration: Histogram<'grpc_service' | 'grpc_method'>;

  constructor(registry: Registry) {
    this.#handled = new Counter({
      name: 'grpc_server_handled_total',
      help: 'Calls that ended, by the status the caller saw.',
      labelNames: ['grpc_service', 'grpc_method', 'grpc_code'],
      registers: [registry],
    });
    this.#duration = new Histogram({
      name: 'grpc_server_handling_seconds',
      help: 'Time from the request to the answer.',
      labelNames: ['grpc_service', 'grpc_method'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers: [registry],
    });
  }

  /** path is that of the method: /payment.v1.PaymentService/GetPayment. */
  observer(path: string): CallObserver {
    const [grpc_service = '', grpc_method = ''] = path.slice(1).split('/');
    // Looked up once here, so that a call costs two additions and no look-up by labels.
    const duration = this.#duration.labels({ grpc_service, grpc_method });
    const handled = allCodes.map((grpc_code) => this.#handled.labels({ grpc_service, grpc_method, grpc_code }));
    return (code, durationMs) => {
      handled[code]?.inc();
      duration.observe(durationMs / 1_000);
    };
  }
}

/** The names of the codes, each at its number: 0 is OK. */
const allCodes = Object.keys(status).filter((name) => Number.isNaN(Number(name)));
