import { execFile } from 'node:child_process';
import { mkdtemp, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface EarlierVersion {
  /** Its code, with today's dependencies. */
  readonly folder: string;
  readonly commit: string;
  readonly migrations: number;
}

/**
 * Unpacks the newest commit from whose schema today's migrations lead on: what an upgrade
 * starts from. With without, the newest that lacks that migration. A text says why there is none.
 */
export async function earlierVersion(without = ''): Promise<EarlierVersion | string> {
  const { stdout: commits } = await run('git', ['log', '--format=%H', 'HEAD']).catch(() => ({ stdout: '' }));
  const today = await migrationsOf('HEAD').catch(() => []);
  for (const commit of commits.split('\n').filter((line) => line !== '')) {
    const migrations = await migrationsOf(commit);
    const leadsOn = migrations.every((file, index) => file === today[index]);
    if (!leadsOn || migrations.length === 0 || migrations.length === today.length) continue;
    if (without !== '' && migrations.some((file) => file.endsWith(without))) continue;
    const folder = await mkdtemp(join(tmpdir(), 'payment-ledger-earlier-'));
    await run('sh', ['-c', `git archive ${commit} | tar -x -C ${folder}`]);
    await symlink(join(process.cwd(), 'node_modules'), join(folder, 'node_modules'));
    return { folder, commit, migrations: migrations.length };
  }
  return 'the history here has no commit with fewer migrations';
}

/** Blob and name of each, in order. */
async function migrationsOf(commit: string): Promise<string[]> {
  const { stdout } = await run('git', ['ls-tree', '--format=%(objectname) %(path)', commit, 'migrations/']);
  return stdout.split('\n').filter((line) => line !== '');
}
