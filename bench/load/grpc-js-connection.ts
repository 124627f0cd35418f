import { Client, credentials, Metadata } from '@grpc/grpc-js';
import type { Connection } from './transport.ts';

/**
 * The same calls through the client of grpc-js, for comparison: it costs some ten
 * times more than the frames, and on a machine shared with the server that is the
 * server's loss.
 */
export async function connectGrpcJs(
  address: string,
  path: string,
  onError: (error: Error) => void,
): Promise<Connection> {
  // A pool of its own: connections with equal options would otherwise share one socket.
  const options = { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_channelz': 0 };
  const client = new Client(address, credentials.createInsecure(), options);
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + 5_000, (error) => (error ? reject(error) : resolve()));
  });
  const metadata = new Metadata();
  const asIs = (bytes: Buffer) => bytes;
  return {
    call(message, caller) {
      const request = Buffer.from(message);
      const deadline = Date.now() + 30_000;
      client.makeUnaryRequest(path, asIs, asIs, request, metadata, { deadline }, (error, reply) => {
        if (error !== null && error.code === undefined) onError(error);
        caller.replied(error?.code ?? 0, reply);
      });
    },
    close: () => client.close(),
  };
}
