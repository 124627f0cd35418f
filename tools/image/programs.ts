import { execFile } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { unpackedPackages } from '../debian-package.ts';
import { which } from '../stack/cache.ts';

/** A program: its command with the first arguments, and what its environment must have besides. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Runs a command with this file in the place of the system's index of libraries, for nobody else. */
const WITH_LIBRARIES = 'mount --bind "$1" /etc/ld.so.cache && shift && exec "$@"';

/** What building the image without an engine takes. */
export interface ImagePrograms {
  readonly buildah: Program;
  readonly debootstrap: Program;
  /** The folder of npm itself, which the base image has and the npm package of Node does not. */
  readonly npm: string;
}

/** buildah and debootstrap from the path, or Debian's packages unpacked into the cache. A text says why the image cannot be built here. */
export async function findImagePrograms(): Promise<ImagePrograms | string> {
  if (process.platform !== 'linux') return `an image of Linux cannot be run on ${process.platform}`;
  if (process.getuid?.() !== 0) return 'the root of the image can be mounted by root only';
  for (const program of ['unshare', 'setpriv', 'chroot', 'tar', 'npm']) {
    if (which(program) === undefined) return `${program} is not on the path`;
  }
  const npm = dirname(dirname(realpathSync(which('npm')!)));
  const buildah = await findBuildah();
  if (typeof buildah === 'string') return buildah;
  const debootstrap = await findDebootstrap();
  if (typeof debootstrap === 'string') return debootstrap;
  return { buildah, debootstrap, npm };
}

async function findBuildah(): Promise<Program | string> {
  const installed = which('buildah');
  if (installed !== undefined) return { command: installed, args: [], env: {} };
  // With those of its libraries that a Debian without it may lack.
  const packages = ['buildah', 'libgpgme11', 'libassuan0', 'libdevmapper1.02.1', 'libseccomp2'];
  const unpacked = await unpackedPackages('buildah', packages);
  if (typeof unpacked === 'string') return unpacked;
  const architecture = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const index = join(unpacked.folder, 'ld.so.cache');
  // LD_LIBRARY_PATH would not do: buildah runs itself again, in a clean environment.
  const libraries = join(unpacked.folder, 'usr/lib', `${architecture}-linux-gnu`);
  await promisify(execFile)('/sbin/ldconfig', ['-X', '-C', index, libraries]);
  const program = join(unpacked.folder, 'usr/bin/buildah');
  return { command: 'unshare', args: ['--mount', 'sh', '-c', WITH_LIBRARIES, 'sh', index, program], env: {} };
}

async function findDebootstrap(): Promise<Program | string> {
  const installed = which('debootstrap');
  if (installed !== undefined) return { command: installed, args: [], env: {} };
  if (which('wget') === undefined) return 'wget, which debootstrap calls, is not on the path';
  const unpacked = await unpackedPackages('debootstrap', ['debootstrap']);
  if (typeof unpacked === 'string') return unpacked;
  return {
    command: join(unpacked.folder, 'usr/sbin/debootstrap'),
    args: [],
    env: { DEBOOTSTRAP_DIR: join(unpacked.folder, 'usr/share/debootstrap') },
  };
}
