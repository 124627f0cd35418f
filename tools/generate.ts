import { execFileSync } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asyncApi } from './event-schemas/asyncapi.ts';
import { type EventMessage, readEventMessages } from './event-schemas/event-messages.ts';
import { eventSchema } from './event-schemas/json-schema.ts';

const ROOT = join(import.meta.dirname, '..');

/** What generate() fills, and nothing else does. */
export const GENERATED = ['src/gen', 'docs/events'];

/**
 * Generates from proto/ below folder: src/gen, which is TypeScript by ts-proto and the
 * descriptors that reflection answers from, and docs/events, the events as JSON Schema
 * and AsyncAPI.
 */
export async function generate(folder: string): Promise<void> {
  const buf = (...args: string[]) => execFileSync('buf', args, { cwd: ROOT, stdio: 'inherit' });
  const descriptors = join(folder, 'src/gen/descriptors.binpb');
  buf('generate', '--output', folder);
  buf('build', '--as-file-descriptor-set', '--output', descriptors);
  await generateSchemas(descriptors, join(folder, 'docs/events'));
}

async function generateSchemas(descriptors: string, folder: string): Promise<void> {
  const events = await readEventMessages(descriptors);
  const write = (name: string, content: object) =>
    writeFile(join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
  // An event that is renamed before its release leaves no schema behind.
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const event of events) await write(schemaFile(event), eventSchema(event));
  await write('asyncapi.json', asyncApi(events, schemaFile));
}

function schemaFile({ type }: EventMessage): string {
  return `${type}.schema.json`;
}

if (import.meta.main) await generate(ROOT);
