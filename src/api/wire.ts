import { BinaryReader } from '@bufbuild/protobuf/wire';

/** A message of the generated code, as far as reading it goes. */
export interface Decodable<Message> {
  decode(input: BinaryReader): Message;
}

/** Stands in for a request whose bytes are no protobuf message. */
export class MalformedRequest {
  readonly reason: unknown;

  constructor(reason: unknown) {
    this.reason = reason;
  }
}

/**
 * Reads a request. Never throws: grpc-js answers INTERNAL to an error from here,
 * but a bad request is the caller's fault, and a field with invalid UTF-8 is to be
 * named like any other bad field.
 */
export function decodeRequest<Request>(type: Decodable<Request>, bytes: Uint8Array): Request | MalformedRequest {
  try {
    return type.decode(new BinaryReader(bytes, decodeUtf8));
  } catch (error) {
    return new MalformedRequest(error);
  }
}

// A leading U+FEFF is text in protobuf, not a byte-order mark.
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** No UTF-8 decodes to it, so validation can tell it from all that a caller may send. */
const LONE_SURROGATE = '\uD800';

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return LONE_SURROGATE;
  }
}
