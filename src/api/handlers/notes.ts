import type { Metadata, Notes } from '../../app/domain/payment.ts';

interface NotesInProto {
  readonly description: string;
  readonly reference: string;
  readonly metadata: Metadata;
}

/** What is empty was not given. */
export function notesOf({ description, reference, metadata }: NotesInProto): Notes {
  return {
    description,
    reference: reference === '' ? undefined : reference,
    metadata: isEmpty(metadata) ? undefined : metadata,
  };
}

function isEmpty(metadata: Metadata): boolean {
  for (const _ in metadata) return false;
  return true;
}
