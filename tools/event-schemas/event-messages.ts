import { readFile } from 'node:fs/promises';
import { createFileRegistry, type DescEnum, type DescField, type DescMessage, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

/** A type of event and its message in events.proto. */
export interface EventMessage {
  /** ce_type */
  readonly type: string;
  /** What has happened, from the message's comment. */
  readonly summary: string;
  readonly message: DescMessage;
}

const EVENTS = 'payment/v1/events.proto';

/**
 * The events of the descriptors that buf made, in the order of events.proto; several types
 * may have one message. Throws for
 * a message that is neither part of another nor says its ce_type, so that no event is
 * left out for want of a comment.
 */
export async function readEventMessages(descriptors: string): Promise<EventMessage[]> {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, await readFile(descriptors)));
  const messages = registry.getFile(EVENTS)?.messages ?? [];
  const parts = new Set(messages.flatMap(({ fields }) => fields.map(({ message }) => message)));
  return messages.flatMap((message) => {
    const [, types, text] = /^ce_type ([^:]+): (.*)$/s.exec(commentOf(message)) ?? [];
    if (types !== undefined && text !== undefined) {
      const summary = upperFirst(withoutRequired(text));
      return types.split(/, | and /).map((type) => ({ type, summary, message }));
    }
    if (parts.has(message)) return [];
    throw new Error(`${EVENTS}: the comment of ${message.name} must begin with "ce_type TYPE: WHAT HAS HAPPENED"`);
  });
}

const ALWAYS_HAS = / ?Always has ([\w, ]+)\./;

/** The names of the fields that a message always has, from "Always has …" in its comment. */
export function requiredFields(message: DescMessage): string[] {
  const [, list = ''] = ALWAYS_HAS.exec(commentOf(message)) ?? [];
  const names = list.split(/,? and |, /).filter((name) => name !== '');
  const unknown = names.find((name) => !message.fields.some((field) => field.name === name));
  if (unknown !== undefined)
    throw new Error(`${message.typeName} has no field ${unknown}, which it says it always has`);
  return names;
}

/** A message's comment without the fields that it always has, which a schema says in its own way. */
export function withoutRequired(comment: string): string {
  return comment.replace(ALWAYS_HAS, '');
}

/** The comment before a message, a field or an enumeration, on one line. */
export function commentOf(desc: DescMessage | DescField | DescEnum): string {
  const path = pathOf(desc).join();
  const file = desc.kind === 'field' ? desc.parent.file : desc.file;
  const location = file.proto.sourceCodeInfo?.location.find((each) => each.path.join() === path);
  return (location?.leadingComments ?? '').trim().replace(/\s*\n\s*/g, ' ');
}

/** Where it is in its file, by the field numbers of descriptor.proto. */
function pathOf(desc: DescMessage | DescField | DescEnum): number[] {
  if (desc.kind === 'field') return [...pathOf(desc.parent), 2, desc.parent.fields.indexOf(desc)];
  const { parent, file } = desc;
  if (desc.kind === 'message') {
    return parent ? [...pathOf(parent), 3, parent.nestedMessages.indexOf(desc)] : [4, file.messages.indexOf(desc)];
  }
  return parent ? [...pathOf(parent), 4, parent.nestedEnums.indexOf(desc)] : [5, file.enums.indexOf(desc)];
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
