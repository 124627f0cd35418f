import { removeData } from './stack/stack.ts';
import { DATA_FOLDER, DEMO_FOLDER, SEEDED_FOLDER } from './system.ts';

// Clears what `npm start` keeps, and what a demo or a seeded start left; downloads stay.
try {
  await removeData(DATA_FOLDER);
  await removeData(DEMO_FOLDER);
  await removeData(SEEDED_FOLDER);
  console.log('Cleared. The next `npm start` begins with empty books.');
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
