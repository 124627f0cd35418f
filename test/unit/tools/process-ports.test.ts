import { createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rejectTakenPorts } from '../../../tools/process-ports.ts';

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
  const before = String(Number(taken) - 1);
  await expect(rejectTakenPorts({ ...env, METRICS_PORT: before })).rejects.toThrow(/METRICS_PORT/);
});
