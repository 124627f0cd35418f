import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  DEFAULT_WINDOW,
  FLAG,
  FRAME,
  FRAME_HEADER_BYTES,
  frame,
  grpcStatus,
  MAX_WINDOW,
  PREFACE,
  requestHeaders,
  SETTING,
  settings,
  windowUpdate,
  writeFrameHeader,
} from './http2-frames.ts';
import type { Credentials } from './job.ts';
import type { Caller, Connection } from './transport.ts';

/** A gRPC message is preceded by its compression flag and its length. */
const GRPC_PREFIX_BYTES = 5;
/** gRPC status UNKNOWN: for a stream that ended without telling one. */
const UNKNOWN = 2;

interface Flight {
  readonly caller: Caller;
  reply: Uint8Array | undefined;
}

/** Connects and waits for the server's first frame. */
export async function connectFrames(
  address: string,
  path: string,
  onError: (error: Error) => void,
  credentials?: Credentials,
): Promise<Connection> {
  const separator = address.lastIndexOf(':');
  const to = { host: address.slice(0, separator), port: Number(address.slice(separator + 1)) };
  const socket =
    credentials === undefined ? connectTcp(to) : connectTls({ ...to, ...credentials, ALPNProtocols: ['h2'] });
  socket.setNoDelay();
  const connected = credentials === undefined ? 'connect' : 'secureConnect';
  await new Promise<void>((resolve, reject) => socket.once(connected, resolve).once('error', reject));
  const connection = new FramesConnection(socket, requestHeaders(address, path, credentials?.token), onError);
  await new Promise((resolve) => socket.once('data', resolve));
  return connection;
}

/**
 * gRPC over HTTP/2 with hand-made frames on a socket: what a call costs here is a
 * few microseconds, a small part of what it costs through an HTTP/2 library, so
 * that on a machine shared with the server it is the server that is measured.
 */
class FramesConnection implements Connection {
  readonly #socket: Socket;
  readonly #headers: { first: Buffer; next: Buffer };
  readonly #onError: (error: Error) => void;
  readonly #flights = new Map<number, Flight>();
  #out = Buffer.allocUnsafe(256 * 1024);
  #outLength = 0;
  #flushing = false;
  #nextStream = 1;
  /** What the server still takes on this connection, in bytes. */
  #sendWindow = DEFAULT_WINDOW;
  #received = 0;
  /** The start of a frame whose end has not arrived. */
  #rest: Buffer | undefined;
  #waiting: { message: Buffer; caller: Caller }[] = [];
  #closed = false;

  constructor(socket: Socket, headers: { first: Buffer; next: Buffer }, onError: (error: Error) => void) {
    this.#socket = socket;
    this.#headers = headers;
    this.#onError = onError;
    socket.on('data', (bytes) => this.#read(bytes));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('The server closed the connection')));
    socket.write(
      Buffer.concat([
        PREFACE,
        settings([
          // Without a table the status of a call stands in its header block in full.
          [SETTING.HEADER_TABLE_SIZE, 0],
          [SETTING.ENABLE_PUSH, 0],
          [SETTING.INITIAL_WINDOW_SIZE, MAX_WINDOW],
        ]),
        windowUpdate(MAX_WINDOW - DEFAULT_WINDOW),
      ]),
    );
  }

  call(message: Uint8Array, caller: Caller): void {
    const dataLength = GRPC_PREFIX_BYTES + message.length;
    if (dataLength > this.#sendWindow) {
      this.#waiting.push({ message: Buffer.from(message), caller });
      return;
    }
    this.#sendWindow -= dataLength;
    const stream = this.#nextStream;
    this.#nextStream += 2;
    this.#flights.set(stream, { caller, reply: undefined });

    const block = stream === 1 ? this.#headers.first : this.#headers.next;
    const out = this.#room(2 * FRAME_HEADER_BYTES + block.length + dataLength);
    let at = writeFrameHeader(out, this.#outLength, block.length, FRAME.HEADERS, FLAG.END_HEADERS, stream);
    out.set(block, at);
    at = writeFrameHeader(out, at + block.length, dataLength, FRAME.DATA, FLAG.END_STREAM, stream);
    out[at] = 0;
    at = out.writeUInt32BE(message.length, at + 1);
    out.set(message, at);
    this.#outLength = at + message.length;
    this.#flushSoon();
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  /** The outgoing buffer with so many bytes free behind what is in it. */
  #room(bytes: number): Buffer {
    if (this.#outLength + bytes > this.#out.length) this.#flush();
    return this.#out;
  }

  /** Calls made in one turn of the event loop travel in one write. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    process.nextTick(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#outLength === 0) return;
    // A copy: the socket may keep what it was given until it is writable again.
    this.#socket.write(Buffer.from(this.#out.subarray(0, this.#outLength)));
    this.#outLength = 0;
  }

  #read(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (at + FRAME_HEADER_BYTES <= bytes.length) {
      const end = at + FRAME_HEADER_BYTES + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff;
      this.#frame(bytes[at + 3]!, bytes[at + 4]!, stream, bytes.subarray(at + FRAME_HEADER_BYTES, end));
      at = end;
    }
    this.#rest = at === bytes.length ? undefined : bytes.subarray(at);
  }

  #frame(type: number, flags: number, stream: number, payload: Buffer): void {
    switch (type) {
      case FRAME.DATA:
        this.#consumed(payload.length);
        if (payload.length > GRPC_PREFIX_BYTES) {
          const flight = this.#flights.get(stream);
          if (flight !== undefined) flight.reply = payload.subarray(GRPC_PREFIX_BYTES);
        }
        break;
      case FRAME.HEADERS:
        if ((flags & FLAG.END_STREAM) !== 0) this.#end(stream, grpcStatus(payload) ?? UNKNOWN);
        break;
      case FRAME.RST_STREAM:
        this.#end(stream, UNKNOWN);
        break;
      case FRAME.SETTINGS:
        if ((flags & FLAG.ACK) === 0) this.#socket.write(frame(FRAME.SETTINGS, FLAG.ACK, 0));
        break;
      case FRAME.PING:
        if ((flags & FLAG.ACK) === 0) this.#socket.write(frame(FRAME.PING, FLAG.ACK, 0, payload));
        break;
      case FRAME.GOAWAY:
        this.#fail(new Error(`The server sent GOAWAY ${payload.readUInt32BE(4)}`));
        break;
      case FRAME.WINDOW_UPDATE:
        if (stream === 0) this.#widen(payload.readUInt32BE(0) & 0x7fffffff);
        break;
    }
  }

  #end(stream: number, status: number): void {
    const flight = this.#flights.get(stream);
    if (flight === undefined) return;
    this.#flights.delete(stream);
    flight.caller.replied(status, flight.reply);
  }

  /** Gives the window back long before it is used up. */
  #consumed(bytes: number): void {
    this.#received += bytes;
    if (this.#received < MAX_WINDOW / 2) return;
    this.#socket.write(windowUpdate(this.#received));
    this.#received = 0;
  }

  #widen(bytes: number): void {
    this.#sendWindow += bytes;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { message, caller } of waiting) this.call(message, caller);
  }

  #fail(error: Error): void {
    if (this.#closed) return;
    this.close();
    this.#onError(error);
  }
}
