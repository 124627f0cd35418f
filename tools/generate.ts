import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');

/**
 * Generates src/gen from proto/ below folder: TypeScript by ts-proto, and the
 * descriptors that reflection answers from.
 */
export function generate(folder: string): void {
  const buf = (...args: string[]) => execFileSync('buf', args, { cwd: ROOT, stdio: 'inherit' });
  buf('generate', '--output', folder);
  buf('build', '--as-file-descriptor-set', '--output', join(folder, 'src/gen/descriptors.binpb'));
}

if (import.meta.main) generate(ROOT);
