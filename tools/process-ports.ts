import { portTaken } from './stack/free-port.ts';

/** The ports of the two processes; where the relay was given one for its metrics, the API takes the next. */
export function apiMetricsPort(env: NodeJS.ProcessEnv): string | undefined {
  return Number(env['METRICS_PORT']) > 0 ? String(Number(env['METRICS_PORT']) + 1) : undefined;
}

/**
 * Throws, naming the port and its variable, if a process could not have its port: before
 * servers are started, which takes long. 0 takes a free one.
 */
export async function rejectTakenPorts(env: NodeJS.ProcessEnv): Promise<void> {
  const relayMetrics = env['METRICS_PORT'] || '9464';
  const wanted: readonly (readonly [what: string, port: string, variable: string])[] = [
    ['gRPC', env['GRPC_PORT'] || '50051', 'GRPC_PORT'],
    ["the relay's metrics", relayMetrics, 'METRICS_PORT'],
    ["the API's metrics", apiMetricsPort(env) ?? (relayMetrics === '0' ? '0' : '9465'), 'METRICS_PORT'],
  ];
  for (const [what, port, variable] of wanted) {
    if (Number(port) === 0 || !(await portTaken(Number(port)))) continue;
    throw new Error(
      `Port ${port}, for ${what}, is taken: does npm start run already? Stop that, or set ${variable} to another port` +
        ' (0 takes a free one).',
    );
  }
}
