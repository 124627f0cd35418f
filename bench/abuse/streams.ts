import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials, status as grpcStatus, type ServiceError } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { type Running, Tally } from './abuse.ts';

const WATCHES_PER_SECOND = 1_500;
const TICK_MS = 20;
/** The longer ones are too long for a name. */
const NAME_LENGTHS = [16_000, 200];
/** More of them than fit into the connection's window make Node's server close it. */
const UNANSWERED = 50;
/** Node closes a connection on which a thousand streams are reset in a row. */
const WATCHES_PER_CONNECTION = 900;

const REFLECTION_STREAMS = 8;
const STREAMS_PER_CONNECTION = 4;
const SYMBOL_LENGTH = 60_000;

/** Opens Watch calls, at a fixed rate if they are answered so fast, each for another name, and cancels each once answered. */
export async function watchUnknown(address: string): Promise<Running> {
  const tally = new Tally();
  const { Watch } = healthService as Required<typeof healthService>;
  const messages = NAME_LENGTHS.map((length) => grpcMessage(Watch!.requestSerialize({ service: 'x'.repeat(length) })));
  let session: ClientHttp2Session | undefined;
  let opened = 0;
  let unanswered = 0;
  const open = () => {
    if (session === undefined || opened % WATCHES_PER_CONNECTION === 0) {
      session?.close();
      session = connectHttp2(`http://${address}`).on('error', () => tally.add('connection lost'));
    }
    opened += 1;
    unanswered += 1;
    const message = messages[opened % messages.length]!;
    message.write(String(opened).padStart(12, '0'), message.length - 12, 'latin1');
    const stream = session.request({
      ':method': 'POST',
      ':path': Watch!.path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('response', (headers) => {
      const code = headers['grpc-status'];
      tally.add(code === undefined ? 'answered' : grpcStatus[Number(code)]!);
    });
    stream.on('data', () => stream.close());
    stream.on('error', () => tally.add('stream lost'));
    stream.on('close', () => {
      unanswered -= 1;
    });
    stream.end(Buffer.from(message));
  };
  const startedAt = performance.now();
  const tick = () => {
    const due = ((performance.now() - startedAt) * WATCHES_PER_SECOND) / 1_000;
    while (opened < due && unanswered < UNANSWERED) open();
  };
  const timer = setInterval(tick, TICK_MS);
  return {
    async stop() {
      clearInterval(timer);
      session?.destroy();
      // The service has yet to notice.
      await sleep(100);
      return tally.outcomes;
    },
  };
}

/** Streams that ask for long symbols: the next is sent as soon as there is room for it. */
export async function reflectLongSymbols(address: string): Promise<Running> {
  const tally = new Tally();
  const symbol = Buffer.from('a.'.repeat(SYMBOL_LENGTH / 2));
  // ServerReflectionRequest.file_containing_symbol, field 4.
  const request = Buffer.concat([Buffer.from([0x22, ...varint(symbol.length)]), symbol]);
  const clients = Array.from(
    { length: REFLECTION_STREAMS / STREAMS_PER_CONNECTION },
    () => new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 }),
  );
  const asIs = (bytes: Buffer) => bytes;
  let stopped = false;
  const streams = Array.from({ length: REFLECTION_STREAMS }, (_, n) => {
    const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
    const stream = clients[n % clients.length]!.makeBidiStreamRequest(path, asIs, asIs);
    const send = () => {
      while (!stopped && stream.writable && stream.write(request));
    };
    stream.on('data', () => tally.add('answered'));
    stream.on('error', (error: ServiceError) => !stopped && tally.add(grpcStatus[error.code]!));
    stream.on('drain', send);
    send();
    return stream;
  });
  return {
    async stop() {
      stopped = true;
      for (const stream of streams) stream.cancel();
      for (const client of clients) client.close();
      await sleep(100);
      return tally.outcomes;
    },
  };
}

/** The message with what gRPC puts before it: no compression, and its length. */
function grpcMessage(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
