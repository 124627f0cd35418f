import type { EventMessage } from './event-messages.ts';
import type { JsonSchema } from './json-schema.ts';

const BINDING_VERSION = '0.5.0';

/** The AsyncAPI 3 document of the topic; each event's schema is in the file that schemaFile names. */
export function asyncApi(events: readonly EventMessage[], schemaFile: (event: EventMessage) => string): object {
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Payment Ledger events',
      version: '1.0.0',
      description:
        'CloudEvents 1.0 on Kafka in binary mode, at least once and in order for each key. ' +
        'docs/events.md says what a consumer can rely on and what it must do for it.',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/json',
    channels: {
      events: {
        address: 'payment.events.v1',
        description:
          'The topic; KAFKA_TOPIC may give it another name. Types may be added: ignore those you do not know.',
        messages: Object.fromEntries(events.map(({ type }) => [type, { $ref: `#/components/messages/${type}` }])),
      },
    },
    operations: {
      publishEvent: {
        action: 'send',
        channel: { $ref: '#/channels/events' },
        summary: 'Tells what has happened, once it is committed.',
      },
    },
    components: {
      messages: Object.fromEntries(events.map((event) => [event.type, message(event, schemaFile(event))])),
      schemas: { attributes: ATTRIBUTES },
    },
  };
}

function message({ type, summary, message: { name } }: EventMessage, schemaFile: string): object {
  return {
    name: type,
    title: name,
    summary,
    headers: {
      allOf: [
        { $ref: '#/components/schemas/attributes' },
        { type: 'object', properties: { ce_type: { const: type } } },
      ],
    },
    payload: { schemaFormat: 'application/schema+json;version=draft-07', schema: { $ref: `./${schemaFile}` } },
    bindings: {
      kafka: {
        key: {
          type: 'string',
          description: 'An account id: its events stay in order. Of a payment it is the payer.',
        },
        bindingVersion: BINDING_VERSION,
      },
    },
  };
}

const text = (description: string, more: JsonSchema = {}): JsonSchema => ({ type: 'string', ...more, description });

/** The headers of every record. */
const ATTRIBUTES: JsonSchema = {
  type: 'object',
  properties: {
    ce_specversion: { const: '1.0' },
    ce_id: text('A ULID, the same however often the event is sent: drop what you have seen.', {
      pattern: '^[0-7][0-9A-HJKMNP-TV-Z]{25}$',
    }),
    ce_type: text('The type of the event, which is the name of its message here.'),
    ce_source: text('The ledger that sends: /payment-ledger, or what CE_SOURCE says.', { format: 'uri-reference' }),
    ce_time: text('When it happened.', { format: 'date-time' }),
    ce_subject: text("What it is about: the payment's id, or the account's where no payment is concerned."),
    ce_replayed: text('On an event that an operator has sent again; absent otherwise.', { const: 'true' }),
    replayed: text('The same as ce_replayed. Deprecated: gone in 0.3.0.', { const: 'true' }),
    traceparent: text('W3C trace context of the call; absent if it had none.'),
    'content-type': { const: 'application/json' },
  },
  required: ['ce_specversion', 'ce_id', 'ce_type', 'ce_source', 'ce_time', 'content-type'],
};
