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
    if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(PROTOTYPE)) {
      return type.decode(new BinaryReader(bytes, decodeUtf8));
    }
    const request = type.decode(new PrototypeReader(bytes, decodeUtf8));
    restorePrototype(request as Fields);
    return request;
  } catch (error) {
    return new MalformedRequest(error);
  }
}

// A leading U+FEFF is text in protobuf, not a byte-order mark.
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** No UTF-8 decodes to it, so validation can tell it from all that a caller may send. */
const LONE_SURROGATE = '\uD800';

const PROTOTYPE = '__proto__';

/**
 * The key __proto__ of a map. The generated code assigns a map's entries to an object, on
 * which that name is no key: the entry would be lost without a word.
 */
export const PROTOTYPE_KEY = `${LONE_SURROGATE}${PROTOTYPE}`;

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return LONE_SURROGATE;
  }
}

/** Reads the text __proto__ as PROTOTYPE_KEY. */
class PrototypeReader extends BinaryReader {
  override string(): string {
    const text = super.string();
    return text === PROTOTYPE ? PROTOTYPE_KEY : text;
  }
}

type Fields = Record<string, unknown>;

/** Gives back the text where it is a value and not a key. */
function restorePrototype(message: Fields): void {
  for (const [name, value] of Object.entries(message)) {
    if (value === PROTOTYPE_KEY) message[name] = PROTOTYPE;
    else if (typeof value === 'object' && value !== null) restorePrototype(value as Fields);
  }
}
