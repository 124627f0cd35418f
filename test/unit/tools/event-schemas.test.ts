import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readEventMessages } from '../../../tools/event-schemas/event-messages.ts';
import { eventSchema, type JsonSchema } from '../../../tools/event-schemas/json-schema.ts';

describe('the schemas of events', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'payment-ledger-proto-'));
    await mkdir(join(folder, 'payment/v1'), { recursive: true });
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** Of an events.proto with these messages. */
  async function schemasOf(messages: string): Promise<Record<string, JsonSchema>> {
    await writeFile(join(folder, 'payment/v1/events.proto'), `syntax = "proto3";\npackage payment.v1;\n${messages}\n`);
    const descriptors = join(folder, 'descriptors.binpb');
    execFileSync('node_modules/.bin/buf', ['build', folder, '--as-file-descriptor-set', '--output', descriptors]);
    const events = await readEventMessages(descriptors);
    return Object.fromEntries(events.map((event) => [event.type, eventSchema(event)]));
  }

  test('are those of protobuf-JSON, with what the comments say', async () => {
    const schemas = await schemasOf(`
      // ce_type thing.happened.v1: it has
      // happened. Always has thing_id, at and state.
      message ThingHappened {
        string thing_id = 1;
        // RFC 3339.
        string at = 2;
        State state = 3;
        repeated int64 amounts = 4;
        map<string, State> by_name = 5;
        Kind kind = 6;
        bool last = 7;
        // Where it came from.
        State before = 8;
      }
      // How it is. Always has count.
      message State { int32 count = 1; State parent = 2; }
      enum Kind { KIND_UNSPECIFIED = 0; KIND_GOOD = 1; }`);
    const state = { $ref: '#/definitions/State' };
    expect(schemas).toEqual({
      'thing.happened.v1': {
        $schema: 'http://json-schema.org/draft-07/schema#',
        title: 'ThingHappened',
        description: 'It has happened.',
        type: 'object',
        properties: {
          thingId: { type: 'string' },
          at: { type: 'string', format: 'date-time', description: 'RFC 3339.' },
          state,
          amounts: { type: 'array', items: { type: 'string', pattern: '^-?[0-9]{1,19}$' } },
          byName: { type: 'object', additionalProperties: state },
          kind: { type: 'string', pattern: '^KIND_[A-Z0-9_]+$', examples: ['KIND_GOOD'] },
          last: { type: 'boolean' },
          before: { description: 'Where it came from.', allOf: [state] },
        },
        required: ['thingId', 'at', 'state'],
        definitions: {
          State: {
            description: 'How it is.',
            type: 'object',
            properties: { count: { type: 'integer' }, parent: state },
            required: ['count'],
          },
        },
      },
    });
  });

  test.each([
    ['// An event, but of which type?\nmessage Silent { string id = 1; }', 'the comment of Silent must begin with'],
    [
      '// ce_type a.b.v1: done. Always has id and ids.\nmessage A { string id = 1; }',
      'payment.v1.A has no field ids, which it says it always has',
    ],
    ['// ce_type a.b.v1: done.\nmessage A { bytes raw = 1; }', 'is of a type that has no JSON Schema here yet'],
  ])('are not made of what is not said: %j', async (messages, problem) => {
    await expect(schemasOf(messages)).rejects.toThrow(problem);
  });
});
