import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

export type OnProgress = (message: string) => void;

/** Where downloads stay: .local/cache of the project, or PAYMENT_LEDGER_CACHE. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  return env['PAYMENT_LEDGER_CACHE'] || join(import.meta.dirname, '../../.local/cache');
}

/**
 * The cached folder of that name, filled by fill() if it is not there yet. Appears
 * whole or not at all, also when two processes fill it at once: the first wins.
 */
export async function cached(cache: string, name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  const draft = `${folder}.${process.pid}.tmp`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  try {
    await fill(draft);
    await rename(draft, folder);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

const PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:2.8';

/**
 * Runs a goal of Maven's dependency plugin on one of the POMs here, with its output in
 * the folder. Throws with what Maven said.
 */
export async function maven(pom: string, folder: string, goal: string, ...properties: string[]): Promise<void> {
  // Maven leaves its marks beside the POM, so it gets a copy.
  const work = `${folder}-maven`;
  await mkdir(work, { recursive: true });
  try {
    await copyFile(join(import.meta.dirname, pom), join(work, 'pom.xml'));
    const args = ['--batch-mode', '--quiet', `${PLUGIN}:${goal}`, `-DoutputDirectory=${folder}`, ...properties];
    await promisify(execFile)('mvn', args, { cwd: work, maxBuffer: 2 ** 26 });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    const said = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('ERROR'));
    throw new Error(
      `Maven could not fetch what ${pom} names. Run this again with a network, or set REDIS_URL and KAFKA_BROKERS ` +
        `to servers of your own (docker-compose.yml has both). Maven says:\n${said.slice(0, 3).join('\n')}`,
      {
        cause: error,
      },
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The path of a program, or undefined if PATH does not have it. */
export function which(program: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((path) => existsSync(path));
}
