import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { cached, cacheFolder, type OnProgress } from '../stack/cache.ts';
import type { ImagePrograms } from './programs.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');

/** The release of Debian in the name of the Dockerfile's base image. */
export const DEBIAN = 'bookworm';

/** Where the stand-in keeps what only this machine's npm needs. */
const SETTINGS = 'usr/local/etc';

/** A minimal Debian, fetched once. */
export function debianRoot({ debootstrap }: ImagePrograms, onProgress: OnProgress): Promise<string> {
  const fill = async (folder: string) => {
    // It mounts /proc and /sys for a while: in a namespace of its own, nothing can stay mounted.
    await run('unshare', ['--mount', debootstrap.command, '--variant=minbase', DEBIAN, folder], {
      env: { ...process.env, ...debootstrap.env },
      maxBuffer: 2 ** 26,
    });
  };
  return cached(cacheFolder(process.env), `debian-${DEBIAN}`, fill, onProgress);
}

/**
 * Writes what the base image has on top of Debian to a folder: Node, npm and the user.
 * Certificates and settings of this machine's npm are added, as registries are reached
 * differently everywhere; a stand-in is therefore nothing to hand on.
 */
export async function writeNode(folder: string, debian: string, { npm }: ImagePrograms): Promise<void> {
  const local = join(folder, 'usr/local');
  await mkdir(join(local, 'bin'), { recursive: true });
  await mkdir(join(local, 'lib/node_modules'), { recursive: true });
  await cp(join(ROOT, 'node_modules/node/bin/node'), join(local, 'bin/node'));
  await chmod(join(local, 'bin/node'), 0o755);
  await cp(npm, join(local, 'lib/node_modules/npm'), { recursive: true });
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(local, 'bin/npm'));
  await mkdir(join(folder, 'etc'));
  await addLine(debian, folder, 'etc/passwd', 'node:x:1000:1000::/home/node:/bin/sh');
  await addLine(debian, folder, 'etc/group', 'node:x:1000:');
  await mkdir(join(folder, SETTINGS), { recursive: true });
  await writeNpmSettings(folder);
}

async function addLine(debian: string, folder: string, file: string, line: string): Promise<void> {
  await writeFile(join(folder, file), `${await readFile(join(debian, file), 'utf8')}${line}\n`);
}

async function writeNpmSettings(folder: string): Promise<void> {
  // The npm of this machine, on its own Node: another Node has another folder for global settings.
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((each) => !each.endsWith('node_modules/.bin'));
  const { stdout } = await run('npm', ['config', 'list', '--long', '--json'], {
    env: { ...process.env, PATH: path.join(delimiter) },
    maxBuffer: 2 ** 26,
  });
  const settings: Record<string, unknown> = JSON.parse(stdout);
  const lines = ['registry', 'proxy', 'https-proxy', 'strict-ssl']
    .filter((name) => settings[name] !== null && settings[name] !== undefined)
    .map((name) => `${name}=${settings[name]}`);
  const files = [settings['cafile'], process.env['NODE_EXTRA_CA_CERTS']].filter((file) => typeof file === 'string');
  if (files.length > 0) {
    const authorities = await Promise.all(files.map((file) => readFile(file, 'utf8')));
    await writeFile(join(folder, SETTINGS, 'authorities.pem'), authorities.join('\n'));
    lines.push(`cafile=/${SETTINGS}/authorities.pem`);
  }
  await writeFile(join(folder, SETTINGS, 'npmrc'), `${lines.join('\n')}\n`);
}
