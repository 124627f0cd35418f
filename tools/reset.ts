import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { standIn } from './stack/server-user.ts';
import { ownerOf } from './stack/stack.ts';
import { DATA_FOLDER } from './system.ts';

// Clears what `npm start` keeps; downloads stay.
const owner = await ownerOf(DATA_FOLDER);
if (owner !== undefined) {
  console.error(`The system is running (process ${owner}). Stop it first: Ctrl-C where it runs.`);
  process.exit(1);
}
await rm(standIn(join(DATA_FOLDER, 'postgres')), { recursive: true, force: true });
await rm(DATA_FOLDER, { recursive: true, force: true });
console.log('Cleared. The next `npm start` begins with empty books.');
