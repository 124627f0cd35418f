import { createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { localPorts, rejectTakenPorts } from '../../../tools/process-ports.ts';

const listener = createServer();
let taken: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  taken = String((listener.address() as { port: number }).port);
});
afterAll(() => new Promise((closed) => listener.close(closed)));

test('names a port that is taken and its variable', async () => {
  const env = { GRPC_PORT: '0', METRICS_PORT: '0' };
  await rejectTakenPorts(env);
  await expect(rejectTakenPorts({ ...env, GRPC_PORT: taken })).rejects.toThrow(`Port ${taken}, for gRPC`);
  await expect(rejectTakenPorts({ ...env, METRICS_PORT: taken })).rejects.toThrow(/METRICS_PORT/);
  await expect(rejectTakenPorts({ ...env, LOCAL_KAFKA_PORT: taken })).rejects.toThrow(`Port ${taken}, for Kafka`);
  const before = String(Number(taken) - 1);
  await expect(rejectTakenPorts({ ...env, METRICS_PORT: before })).rejects.toThrow(/METRICS_PORT/);
});

test('servers get the ports that are asked for, unless they are not started here', () => {
  expect(localPorts({ LOCAL_POSTGRES_PORT: '5432', LOCAL_REDIS_PORT: '' })).toEqual({ postgres: 5_432 });
  expect(() => localPorts({ LOCAL_REDIS_PORT: '0' })).toThrow('LOCAL_REDIS_PORT must be a port, from 1 to 65535.');
  expect(() => localPorts({ LOCAL_REDIS_PORT: '6379', REDIS_URL: 'redis://127.0.0.1' })).toThrow(
    'LOCAL_REDIS_PORT is of no use, as REDIS_URL names a Redis',
  );
});
