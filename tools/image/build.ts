import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { OnProgress } from '../stack/cache.ts';
import { DEBIAN, debianRoot, writeNode } from './base.ts';
import type { ImagePrograms } from './programs.ts';

const ROOT = join(import.meta.dirname, '../..');
const STAND_IN = 'localhost/payment-ledger-node-stand-in';
const IMAGE = 'localhost/payment-ledger';

/** What the image says about how it is run. */
export interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
}

export interface BuiltImage {
  /** Its files. */
  readonly root: string;
  readonly config: ImageConfig;
  /** Removes it, with all that building it left. */
  remove(): Promise<void>;
}

/** Builds the Dockerfile with buildah on a stand-in for its base image. Throws with what buildah said. */
export async function buildImage(programs: ImagePrograms, onProgress: OnProgress): Promise<BuiltImage> {
  const debian = await debianRoot(programs, onProgress);
  const work = await mkdtemp(join(ROOT, '.local/image-'));
  const remove = () => rm(work, { recursive: true, force: true });
  try {
    const buildah = await buildahIn(work, programs);
    const node = join(work, 'node');
    await writeNode(node, debian, programs);
    onProgress(`making a stand-in for the base image from Debian ${DEBIAN} and Node ${process.version}`);
    const base = await buildah('from', 'scratch');
    await buildah('add', base, debian, '/');
    await buildah('add', base, node, '/');
    await buildah('config', '--env', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', base);
    await buildah('commit', base, STAND_IN);
    await buildah('rm', base);
    onProgress('building the Dockerfile');
    await buildah(
      ...['build', '--isolation', 'chroot', '--network', 'host', '--pull-never'],
      ...['--build-arg', `NODE_IMAGE=${STAND_IN}`, '--tag', IMAGE, ROOT],
    );
    const { OCIv1 } = JSON.parse(await buildah('inspect', '--type', 'image', IMAGE));
    const container = await buildah('from', '--pull-never', IMAGE);
    return { root: await buildah('mount', container), config: OCIv1.config, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** buildah with storage and settings of its own, so that it needs none in the system and leaves none. */
async function buildahIn(work: string, { buildah }: ImagePrograms) {
  const settings = join(work, '.config/containers');
  await mkdir(settings, { recursive: true });
  // Nothing is pulled, so there is no signature to check.
  await writeFile(join(settings, 'policy.json'), JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }));
  await writeFile(join(settings, 'registries.conf'), 'unqualified-search-registries = []\n');
  const storage = ['--root', join(work, 'storage'), '--runroot', join(work, 'run'), '--storage-driver', 'vfs'];
  const env = { ...process.env, ...buildah.env, HOME: work };
  return async (...args: readonly string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)(
      buildah.command,
      [...buildah.args, ...storage, '--registries-conf', join(settings, 'registries.conf'), ...args],
      { env, maxBuffer: 2 ** 26 },
    );
    return stdout.trim();
  };
}
