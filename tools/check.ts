import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GENERATED, generate } from './generate.ts';

const ROOT = join(import.meta.dirname, '..');

/** A longer file has more than one subject. */
const MOST_LINES = 200;

/** Every check the code must pass besides its tests; each returns whether it did. */
const checks: Record<string, () => boolean | Promise<boolean>> = {
  'generated code and schemas match proto/ (npm run generate)': generatedIsCurrent,
  'protobuf style (buf lint)': () => run('buf', 'lint'),
  'the contract only grows since its last release (buf breaking)': () =>
    run('buf', 'breaking', '--against', 'proto/released.binpb'),
  'types (tsc)': () => run('tsc'),
  'lint, format and import directions (biome)': () => run('biome', 'check', '--error-on-warnings'),
  'no dead code or unused dependencies (knip)': () => run('knip'),
  [`no file in src has more than ${MOST_LINES} lines`]: filesAreShort,
};

function run(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' }).status === 0;
}

async function generatedIsCurrent(): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'payment-ledger-gen-'));
  try {
    await generate(folder);
    const current = GENERATED.map((each) =>
      run('git', '--no-pager', 'diff', '--no-index', '--stat', each, join(folder, each)),
    );
    return current.every((same) => same);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function filesAreShort(): boolean {
  const long = globSync('src/**/*.ts', { cwd: ROOT })
    .filter((file) => !file.startsWith('src/gen/'))
    .map((file) => ({ file, lines: readFileSync(join(ROOT, file), 'utf8').split('\n').length - 1 }))
    .filter(({ lines }) => lines > MOST_LINES);
  for (const { file, lines } of long) console.log(`${file} has ${lines} lines`);
  return long.length === 0;
}

let failed = 0;
for (const [name, passes] of Object.entries(checks)) {
  const ok = await passes();
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name}`);
  if (!ok) failed += 1;
}
process.exitCode = failed === 0 ? 0 : 1;
