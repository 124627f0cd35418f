import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from './generate.ts';

const ROOT = join(import.meta.dirname, '..');

/** Every check the code must pass besides its tests; each returns whether it did. */
const checks: Record<string, () => boolean> = {
  'generated code matches proto/ (npm run generate)': generatedCodeIsCurrent,
  'protobuf style (buf lint)': () => run('buf', 'lint'),
  'the contract only grows since its last release (buf breaking)': () =>
    run('buf', 'breaking', '--against', 'proto/released.binpb'),
  'types (tsc)': () => run('tsc'),
  'lint, format and import directions (biome)': () => run('biome', 'check', '--error-on-warnings'),
  'no dead code or unused dependencies (knip)': () => run('knip'),
};

function run(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' }).status === 0;
}

function generatedCodeIsCurrent(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'payment-ledger-gen-'));
  try {
    generate(folder);
    return run('git', '--no-pager', 'diff', '--no-index', '--stat', 'src/gen', join(folder, 'src/gen'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

let failed = 0;
for (const [name, passes] of Object.entries(checks)) {
  const ok = passes();
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name}`);
  if (!ok) failed += 1;
}
process.exitCode = failed === 0 ? 0 : 1;
