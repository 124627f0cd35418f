import { portTaken } from './stack/free-port.ts';
import type { StackPorts } from './stack/stack.ts';

const SERVERS = {
  postgres: ['Postgres', 'LOCAL_POSTGRES_PORT', 'DATABASE_URL'],
  redis: ['Redis', 'LOCAL_REDIS_PORT', 'REDIS_URL'],
  kafka: ['Kafka', 'LOCAL_KAFKA_PORT', 'KAFKA_BROKERS'],
} as const;

/** The ports that LOCAL_… ask for, for the servers that are started here. Throws with what is wrong. */
export function localPorts(env: NodeJS.ProcessEnv): StackPorts {
  const ports: Partial<Record<keyof StackPorts, number>> = {};
  for (const [server, [name, variable, address]] of Object.entries(SERVERS)) {
    const text = env[variable];
    if (!text) continue;
    if (env[address])
      throw new Error(`${variable} is of no use, as ${address} names a ${name} that is not started here.`);
    const port = Number(text);
    if (!/^\d+$/.test(text) || port < 1 || port > 65_535)
      throw new Error(`${variable} must be a port, from 1 to 65535.`);
    ports[server as keyof StackPorts] = port;
  }
  return ports;
}

/** The ports of the two processes; where the relay was given one for its metrics, the API takes the next. */
export function apiMetricsPort(env: NodeJS.ProcessEnv): string | undefined {
  return Number(env['METRICS_PORT']) > 0 ? String(Number(env['METRICS_PORT']) + 1) : undefined;
}

/**
 * Throws, naming the port and its variable, if a process could not have its port: before
 * servers are started, which takes long. 0 takes a free one.
 */
export async function rejectTakenPorts(env: NodeJS.ProcessEnv): Promise<void> {
  const local = localPorts(env);
  const relayMetrics = env['METRICS_PORT'] || '9464';
  const wanted: readonly (readonly [what: string, port: string, variable: string])[] = [
    ['gRPC', env['GRPC_PORT'] || '50051', 'GRPC_PORT'],
    ["the relay's metrics", relayMetrics, 'METRICS_PORT'],
    ["the API's metrics", apiMetricsPort(env) ?? (relayMetrics === '0' ? '0' : '9465'), 'METRICS_PORT'],
    ...Object.entries(local).map(([server, port]) => {
      const [name, variable] = SERVERS[server as keyof StackPorts];
      return [name, String(port), variable] as const;
    }),
  ];
  for (const [what, port, variable] of wanted) {
    if (Number(port) === 0 || !(await portTaken(Number(port)))) continue;
    throw new Error(
      `Port ${port}, for ${what}, is taken: does npm start run already? Stop that, or set ${variable} to another port` +
        ' (0 takes a free one).',
    );
  }
}
