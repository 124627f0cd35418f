import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { cached, cacheFolder, which } from './stack/cache.ts';

const run = promisify(execFile);

/** The folder that Debian's packages are unpacked into, in the cache. A text says why that cannot be done. */
export async function unpackedPackages(
  name: string,
  packages: readonly string[],
): Promise<{ folder: string } | string> {
  if (which('apt-get') === undefined || which('dpkg-deb') === undefined) {
    return `${name} is not on the path, and this is no Debian whose package could be unpacked`;
  }
  try {
    return { folder: await cached(cacheFolder(process.env), name, (folder) => unpack(packages, folder)) };
  } catch (error) {
    return `${name} is not on the path, and Debian's package could not be fetched: ${error instanceof Error ? error.message : error}`;
  }
}

async function unpack(packages: readonly string[], folder: string): Promise<void> {
  const download = () => run('apt-get', ['download', ...packages], { cwd: folder });
  // A fresh machine has no package lists yet.
  await download().catch(async () => {
    await run('apt-get', ['update']);
    await download();
  });
  for (const name of await readdir(folder)) {
    if (name.endsWith('.deb')) await run('dpkg-deb', ['--extract', name, '.'], { cwd: folder });
  }
}
