// The parts of HTTP/2 (RFC 9113) and HPACK (RFC 7541) that a gRPC load generator needs.

export const FRAME_HEADER_BYTES = 9;
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export const FRAME = { DATA: 0, HEADERS: 1, RST_STREAM: 3, SETTINGS: 4, PING: 6, GOAWAY: 7, WINDOW_UPDATE: 8 } as const;
export const FLAG = { END_STREAM: 0x1, ACK: 0x1, END_HEADERS: 0x4, PADDED: 0x8 } as const;
export const SETTING = { HEADER_TABLE_SIZE: 1, ENABLE_PUSH: 2, INITIAL_WINDOW_SIZE: 4 } as const;

/** The largest window there is, in bytes. */
export const MAX_WINDOW = 2 ** 31 - 1;
/** The window either side starts with. */
export const DEFAULT_WINDOW = 65_535;

/** Writes a frame's header at offset and returns the offset behind it. */
export function writeFrameHeader(
  target: Buffer,
  offset: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): number {
  target.writeUIntBE(length, offset, 3);
  target[offset + 3] = type;
  target[offset + 4] = flags;
  return target.writeUInt32BE(stream, offset + 5);
}

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + payload.length);
  bytes.set(payload, writeFrameHeader(bytes, 0, payload.length, type, flags, stream));
  return bytes;
}

export function settings(values: readonly (readonly [setting: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(values.length * 6);
  for (const [index, [setting, value]] of values.entries()) {
    payload.writeUInt16BE(setting, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return frame(FRAME.SETTINGS, 0, 0, payload);
}

export function windowUpdate(bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return frame(FRAME.WINDOW_UPDATE, 0, 0, payload);
}

/**
 * The header blocks of a gRPC call: the first on a connection, which enters its
 * fields into the peer's table, and those after it, which refer to them there. Any
 * HTTP/2 client does so; the server's work is the same as for a real caller.
 */
export function requestHeaders(authority: string, path: string, token?: string): { first: Buffer; next: Buffer } {
  const POST = 0x83;
  const SCHEME_HTTP = 0x86;
  const entered = [
    field(4, path),
    field(1, authority),
    field(31, 'application/grpc'),
    field('te', 'trailers'),
    field(58, 'payment-ledger-bench'),
    // Callers that care about their own time set a deadline; the server keeps a timer for it.
    field('grpc-timeout', '30S'),
    ...(token === undefined ? [] : [field(23, `Bearer ${token}`)]),
  ];
  // The last entered has the first index behind the 61 of the static table.
  const indices = entered.map((_, index) => 0x80 | (61 + entered.length - index));
  return {
    first: Buffer.concat([Buffer.of(POST, SCHEME_HTTP), ...entered]),
    next: Buffer.of(POST, SCHEME_HTTP, ...indices),
  };
}

/** A literal field with incremental indexing; name is an index of the static table or a text. */
function field(name: number | string, value: string): Buffer {
  const start = typeof name === 'number' ? Buffer.of(0x40 | name) : Buffer.concat([Buffer.of(0x40), text(name)]);
  return Buffer.concat([start, text(value)]);
}

/** A text without Huffman coding; its length is an integer with a prefix of seven bits (RFC 7541, 5.1). */
function text(value: string): Buffer {
  const length = value.length < 127 ? [value.length] : [127];
  if (value.length >= 127) {
    let rest = value.length - 127;
    for (; rest >= 128; rest >>>= 7) length.push((rest & 127) | 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), Buffer.from(value)]);
}

/** grpc-status in Huffman code, as every encoder writes it, with its length and the mark of the coding. */
const GRPC_STATUS = Buffer.from('889acac8b21234da8f', 'hex');

/**
 * The grpc-status of a header block that was made without a dynamic table, or
 * undefined if it has none. A value of one or two digits gains nothing by Huffman
 * coding, so encoders leave it as text.
 */
export function grpcStatus(block: Buffer): number | undefined {
  const at = block.indexOf(GRPC_STATUS);
  if (at < 0) return undefined;
  const length = block[at + GRPC_STATUS.length] ?? 0;
  const value = block.toString('latin1', at + GRPC_STATUS.length + 1, at + GRPC_STATUS.length + 1 + length);
  return /^\d{1,2}$/.test(value) ? Number(value) : undefined;
}
