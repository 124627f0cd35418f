import type { Credentials } from './job.ts';

/** Who made a call, and is told once how it ended. */
export interface Caller {
  /** status is the gRPC status; reply is the message if there was one, valid only during the call. */
  replied(status: number, reply: Uint8Array | undefined): void;
}

/** Unary calls of one method over one connection. */
export interface Connection {
  /** Starts a call. message, an encoded protobuf message, may be used again at once. */
  call(message: Uint8Array, caller: Caller): void;
  close(): void;
}

/** Connects to host:port for calls of the method at path, /package.Service/Method; fails calls with onError. */
export type Connect = (
  address: string,
  path: string,
  onError: (error: Error) => void,
  credentials?: Credentials,
) => Promise<Connection>;
