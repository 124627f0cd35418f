import { spawn } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

// Runs vitest with the arguments it is given and closes with one plain line of what
// its report counted: `N passed, N failed`, after one with those that were skipped, if
// any. The project `slow` runs only if it is asked for by name, as npm run test:slow does.
const ROOT = join(import.meta.dirname, '..');
const REPORT = join(ROOT, '.local/test-report.json');

interface Report {
  readonly success: boolean;
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { status: string }[];
  }[];
}

const args = process.argv.slice(2);
const projects = args.some((arg) => arg === '--project' || arg.startsWith('--project=')) ? [] : ['--project=!slow'];

await mkdir(join(ROOT, '.local'), { recursive: true });
await rm(REPORT, { force: true });
const vitest = spawn(
  process.execPath,
  [
    join(ROOT, 'node_modules/vitest/vitest.mjs'),
    'run',
    ...['--reporter=default', '--reporter=json', `--outputFile.json=${REPORT}`],
    ...projects,
    ...args,
  ],
  { cwd: ROOT, stdio: 'inherit' },
);
// Vitest gives up its clean-up at a second signal, and Ctrl-C alone sends several.
let told = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!told) vitest.kill(signal);
    told = true;
  });
}
const code = await new Promise<number>((resolve) => vitest.once('exit', (status) => resolve(status ?? 1)));

const text = await readFile(REPORT, 'utf8').catch(() => undefined);
if (text === undefined) {
  console.error('vitest ended without a report');
  process.exit(code === 0 ? 1 : code);
}
const report: Report = JSON.parse(text);
// A file whose set-up fails counts as one failure; vitest counts its tests as skipped.
const brokenFiles = report.testResults.filter(
  ({ status, assertionResults }) =>
    status === 'failed' && !assertionResults.some((assertion) => assertion.status === 'failed'),
).length;
const failed = report.numFailedTests + brokenFiles;
const skipped = report.numPendingTests + report.numTodoTests;
if (skipped > 0) console.log(`${skipped} skipped`);
console.log(`${report.numPassedTests} passed, ${failed} failed`);
process.exitCode = code === 0 && failed > 0 ? 1 : code;
