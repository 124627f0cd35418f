import { type Client, credentials, makeGenericClientConstructor, type ServiceError } from '@grpc/grpc-js';
import { service } from 'grpc-health-check';

type Check = (
  request: { service: string },
  callback: (error: ServiceError | null, answer: { status: string }) => void,
) => void;

const HealthClient = makeGenericClientConstructor(service, 'grpc.health.v1.Health');

/** What the server says of itself by grpc.health.v1: SERVING or NOT_SERVING. */
export function health(address: string): Promise<string> {
  const client = new HealthClient(address, credentials.createInsecure()) as unknown as Client & { check: Check };
  return new Promise((resolve, reject) => {
    client.check({ service: '' }, (error, answer) => {
      client.close();
      if (error === null) resolve(answer.status);
      else reject(error);
    });
  });
}
