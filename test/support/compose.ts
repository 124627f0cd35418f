import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { which } from '../../tools/stack/cache.ts';

const FILE = join(import.meta.dirname, '../../docker-compose.yml');

/** The command of Compose: of itself, or as a part of docker. A text says why there is none. */
export async function findCompose(): Promise<readonly string[] | string> {
  if (which('docker-compose') !== undefined) return ['docker-compose'];
  const docker = which('docker');
  if (docker === undefined) return 'neither docker-compose nor docker is on the path';
  return promisify(execFile)(docker, ['compose', 'version']).then(
    () => ['docker', 'compose'],
    () => 'docker-compose is not on the path, and docker has no compose',
  );
}

/** What Compose reads in docker-compose.yml with the arguments given. Throws with what it finds wrong. */
export async function compose([command, ...args]: readonly string[], ...more: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command!, [...args, '--file', FILE, ...more]);
  return stdout;
}
