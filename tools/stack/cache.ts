import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { own } from './ownership.ts';

export type OnProgress = (message: string) => void;

/** How often a long step says that it is still at work. */
const TELL_EVERY_MS = 10_000;
const POLL_MS = 200;
/** A download that takes longer is stuck. */
const FETCH_LIMIT_MS = 900_000;

/** Where downloads stay: .local/cache of the project, or PAYMENT_LEDGER_CACHE. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  return env['PAYMENT_LEDGER_CACHE'] || join(import.meta.dirname, '../../.local/cache');
}

/**
 * The cached folder of that name, filled by fill() if it is not there yet. Appears
 * whole or not at all; of several processes that want it one fills it, the others wait.
 */
export async function cached(
  cache: string,
  name: string,
  fill: (folder: string) => Promise<void>,
  onProgress: OnProgress = () => undefined,
): Promise<string> {
  const folder = join(cache, name);
  const draft = `${folder}.tmp`;
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  // One at a time in the whole cache: Maven does not expect company in its local repository.
  const release = await waitToOwn(join(cache, 'owner.pid'), onProgress);
  const since = Date.now();
  const ticking = setInterval(() => {
    onProgress(`still fetching ${name}, ${Math.round((Date.now() - since) / 1000)} s`);
  }, TELL_EVERY_MS);
  try {
    if (existsSync(folder)) return folder;
    onProgress(`fetching ${name} (first run only)`);
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft);
    await fill(draft);
    await rename(draft, folder);
    return folder;
  } finally {
    clearInterval(ticking);
    await rm(draft, { recursive: true, force: true });
    await release();
  }
}

async function waitToOwn(file: string, onProgress: OnProgress): Promise<() => Promise<void>> {
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const result = await own(file);
    if (typeof result !== 'number') return result;
    if (waitedMs % TELL_EVERY_MS === 0 && result !== process.pid) {
      onProgress(`waiting for process ${result}, which is filling the cache`);
    }
    await new Promise((resume) => setTimeout(resume, POLL_MS));
  }
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
    const args = [
      '--batch-mode',
      '--quiet',
      '--strict-checksums',
      `${PLUGIN}:${goal}`,
      `-DoutputDirectory=${folder}`,
      ...properties,
    ];
    await promisify(execFile)('mvn', args, { cwd: work, maxBuffer: 2 ** 26, timeout: FETCH_LIMIT_MS });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    const said = `${stdout}${stderr}`.split('\n').find((line) => line.includes('ERROR'));
    throw new Error(`Maven could not fetch what ${pom} names. Maven says: ${said ?? error}`, {
      cause: error,
    });
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
