import { removeData } from './stack/stack.ts';
import { DATA_FOLDER } from './system.ts';

// Clears what `npm start` keeps; downloads stay.
try {
  await removeData(DATA_FOLDER);
  console.log('Cleared. The next `npm start` begins with empty books.');
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
