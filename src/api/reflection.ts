import { readFileSync } from 'node:fs';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';

/** A google.protobuf.FileDescriptorSet of all our proto files and those they import; `npm run generate` writes it. */
const DESCRIPTORS = new URL('../gen/descriptors.binpb', import.meta.url);

/** Lets grpcurl and others ask the server for its services: grpc.reflection.v1 and v1alpha. */
export function addReflection(server: Server): void {
  const fileDescriptorProtos = fileDescriptors(readFileSync(DESCRIPTORS));
  // ReflectionService takes what proto-loader makes of proto files, but reads no more of
  // it than this. Going through proto-loader would merge our files and lose the comments.
  type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0];
  const definition = { all: { fileDescriptorProtos } } as unknown as PackageDefinition;
  new ReflectionService(definition).addToServer(server);
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
