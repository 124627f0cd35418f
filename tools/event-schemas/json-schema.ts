import { type DescEnum, type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { commentOf, type EventMessage, requiredFields, withoutRequired } from './event-messages.ts';

export type JsonSchema = { readonly [keyword: string]: unknown };

/**
 * The JSON Schema of an event's value, which is its message in protobuf-JSON form:
 * https://protobuf.dev/programming-guides/json/. Draft 7 is what AsyncAPI takes as it is.
 * Fields and values of enumerations may be added later, so neither is closed.
 */
export function eventSchema({ summary, message }: EventMessage): JsonSchema {
  const definitions: Record<string, JsonSchema> = {};
  const schema = messageSchema(message, definitions);
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: message.name,
    ...schema,
    description: summary,
    ...(Object.keys(definitions).length > 0 && { definitions }),
  };
}

function messageSchema(message: DescMessage, definitions: Record<string, JsonSchema>): JsonSchema {
  const required = requiredFields(message);
  return {
    ...described(withoutRequired(commentOf(message))),
    type: 'object',
    properties: Object.fromEntries(message.fields.map((field) => [field.jsonName, fieldSchema(field, definitions)])),
    ...(required.length > 0 && {
      required: message.fields.filter(({ name }) => required.includes(name)).map(({ jsonName }) => jsonName),
    }),
  };
}

function fieldSchema(field: DescField, definitions: Record<string, JsonSchema>): JsonSchema {
  const comment = commentOf(field);
  const single = singleSchema(field, definitions);
  switch (field.fieldKind) {
    case 'list':
      return { ...described(comment), type: 'array', items: single };
    case 'map':
      return { ...described(comment), type: 'object', additionalProperties: single };
    case 'message':
      // Draft 7 ignores what stands beside a $ref.
      return comment === '' ? single : { description: comment, allOf: [single] };
    default: {
      const time = field.scalar === ScalarType.STRING && comment.startsWith('RFC 3339');
      return { ...described(comment), ...single, ...(time && { format: 'date-time' }) };
    }
  }
}

/** Of the field itself, or of an item of a list or map. */
function singleSchema(field: DescField, definitions: Record<string, JsonSchema>): JsonSchema {
  if (field.message !== undefined) {
    const { name } = field.message;
    // Known before it is made, as a message may contain itself.
    if (definitions[name] === undefined) {
      definitions[name] = {};
      definitions[name] = messageSchema(field.message, definitions);
    }
    return { $ref: `#/definitions/${name}` };
  }
  if (field.enum !== undefined) return enumSchema(field.enum);
  const schema = SCALARS[field.scalar!];
  if (schema === undefined) throw new Error(`${field} is of a type that has no JSON Schema here yet`);
  return schema;
}

function enumSchema({ sharedPrefix, values }: DescEnum): JsonSchema {
  // Zero is the default value, which is left out.
  const examples = values.filter(({ number }) => number !== 0).map(({ name }) => name);
  return { type: 'string', pattern: `^${(sharedPrefix ?? '').toUpperCase()}[A-Z0-9_]+$`, examples };
}

const SIGNED: JsonSchema = { type: 'string', pattern: '^-?[0-9]{1,19}$' };
const UNSIGNED: JsonSchema = { type: 'string', pattern: '^[0-9]{1,20}$' };

const SCALARS: { readonly [Type in ScalarType]?: JsonSchema } = {
  [ScalarType.STRING]: { type: 'string' },
  [ScalarType.BOOL]: { type: 'boolean' },
  [ScalarType.INT32]: { type: 'integer' },
  [ScalarType.UINT32]: { type: 'integer', minimum: 0 },
  [ScalarType.INT64]: SIGNED,
  [ScalarType.SINT64]: SIGNED,
  [ScalarType.UINT64]: UNSIGNED,
};

function described(comment: string): JsonSchema {
  return comment === '' ? {} : { description: comment };
}
