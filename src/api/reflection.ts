import { readFileSync } from 'node:fs';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { type Server, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { OpenStreams } from './open-streams.ts';

/** A google.protobuf.FileDescriptorSet of all our proto files and those they import; `npm run generate` writes it. */
const DESCRIPTORS = new URL('../gen/descriptors.binpb', import.meta.url);

const MAX_NAME_LENGTH = 255;
const NAME_TOO_LONG = {
  messageResponse: 'errorResponse',
  errorResponse: {
    errorCode: status.INVALID_ARGUMENT,
    errorMessage: `a name has at most ${MAX_NAME_LENGTH} characters`,
  },
};

/** People look, a few at a time: a tool has one stream, or one for each version of the protocol that it tries. */
export const REFLECTION_LIMITS = { max: 32, maxPerConnection: 4 };

type ReflectionStream = ServerDuplexStream<unknown, unknown>;

/** Lets grpcurl and others ask the server for its services: grpc.reflection.v1 and v1alpha. */
export class Reflection {
  readonly streams: OpenStreams;

  constructor() {
    this.streams = new OpenStreams(REFLECTION_LIMITS);
  }

  addTo(server: Pick<Server, 'addService'>): void {
    const fileDescriptorProtos = fileDescriptors(readFileSync(DESCRIPTORS));
    // ReflectionService takes what proto-loader makes of proto files, but reads no more of
    // it than this. Going through proto-loader would merge our files and lose the comments.
    type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0];
    const definition = { all: { fileDescriptorProtos } } as unknown as PackageDefinition;
    const guarded: Pick<Server, 'addService'> = {
      addService: (service, handlers) => {
        const answer = handlers['ServerReflectionInfo'] as unknown as (stream: ReflectionStream) => void;
        const answerAdmitted = (stream: ReflectionStream) => {
          if (this.streams.admit(stream)) answer(guard(stream));
        };
        server.addService(service, { ServerReflectionInfo: answerAdmitted });
      },
    };
    new ReflectionService(definition).addToServer(guarded as Server);
  }
}

/**
 * Rejects long names, whose look-up stalls the process; answers one request of the stream in a turn of the event loop,
 * so that whoever sends thousands does not delay others; and reads no further while answers are unread.
 */
export function guard(stream: ReflectionStream): ReflectionStream {
  const answering = (listener: (message?: unknown) => void) => (message: unknown) => {
    stream.pause();
    if (hasLongName(message)) stream.write(NAME_TOO_LONG);
    else listener(message);
    if (stream.writableNeedDrain) stream.once('drain', () => stream.resume());
    else setImmediate(() => stream.resume());
  };
  const on = (event: string, listener: (message?: unknown) => void) =>
    stream.on(event, event === 'data' ? answering(listener) : listener);
  const write = (answer: unknown) => stream.write(answer);
  return { on, write, end: () => stream.end() } as unknown as ReflectionStream;
}

function hasLongName(message: unknown): boolean {
  return Object.values(message ?? {}).some((v) =>
    typeof v === 'string' ? v.length > MAX_NAME_LENGTH : typeof v === 'object' && hasLongName(v),
  );
}

/** The descriptors of the set, each still encoded. Its one field is `repeated FileDescriptorProto file = 1`. */
function fileDescriptors(set: Uint8Array): Buffer[] {
  const reader = new BinaryReader(set);
  const files: Buffer[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1 && wireType === WireType.LengthDelimited) files.push(Buffer.from(reader.bytes()));
    else reader.skip(wireType, field);
  }
  return files;
}
