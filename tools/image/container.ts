import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { GuardedProcess } from '../stack/guarded-process.ts';
import type { BuiltImage } from './build.ts';

/** Where secrets are mounted: a folder that each Debian has, as the root is not to be written to. */
const SECRETS = '/mnt';

/**
 * In a mount namespace of its own: the image's root, mounted for reading only, with
 * /proc and /dev; then the command as the image's user, without any right to gain more.
 */
const ENTER = `
set -e
root=$1 user=$2 secrets=$3
shift 3
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$secrets" "$root${SECRETS}"
mount -o remount,bind,ro "$root${SECRETS}"
exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" "$@"
`;

export interface Secrets {
  readonly folder: string;
  /** For each variable its NAME_FILE, as it is found inside. */
  readonly env: Readonly<Record<string, string>>;
}

/** Writes values to files, as a cluster mounts secrets. */
export async function writeSecrets(folder: string, values: Readonly<Record<string, string>>): Promise<Secrets> {
  await mkdir(folder, { recursive: true });
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(values)) {
    await writeFile(join(folder, name), value);
    await chmod(join(folder, name), 0o444);
    env[`${name}_FILE`] = `${SECRETS}/${name}`;
  }
  return { folder, env };
}

/** The command line that runs a command from the image; its process is the command's own. */
function commandLine({ root, config }: BuiltImage, secrets: Secrets, env: Record<string, string>, command: string[]) {
  const variables = { ...secrets.env, ...env };
  return [
    ...['--mount', 'sh', '-c', ENTER, 'enter', root, config.User, secrets.folder],
    ...['env', '-i', '-C', config.WorkingDir, ...config.Env],
    ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
    ...command,
  ];
}

/** Runs a command from the image to its end and returns what it printed. Throws if it fails. */
export async function runInImage(
  image: BuiltImage,
  secrets: Secrets,
  env: Record<string, string>,
  ...command: string[]
): Promise<string> {
  const { stdout } = await promisify(execFile)('unshare', commandLine(image, secrets, env, command));
  return stdout;
}

/** A process from the image. */
export function imageProcess(
  image: BuiltImage,
  secrets: Secrets,
  { name, env, logFile, command }: { name: string; env: Record<string, string>; logFile: string; command: string[] },
): GuardedProcess {
  const args = commandLine(image, secrets, env, command);
  return new GuardedProcess({ name, command: 'unshare', args, logFile, stopSignal: 'SIGTERM' });
}

/** What a process may do, as the kernel says. */
export interface Confinement {
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  readonly noNewPrivileges: boolean;
  /** Effective and permitted; 0 is none. */
  readonly capabilities: readonly bigint[];
  readonly rootIsReadOnly: boolean;
}

export async function confinementOf(pid: number): Promise<Confinement> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1]?.split(/\s+/) ?? [];
  const mounts = (await readFile(`/proc/${pid}/mountinfo`, 'utf8')).split('\n').map((line) => line.split(' '));
  const options = mounts.find(([, , , , mountPoint]) => mountPoint === '/')?.[5]?.split(',') ?? [];
  return {
    uids: field('Uid').map(Number),
    gids: field('Gid').map(Number),
    noNewPrivileges: field('NoNewPrivs')[0] === '1',
    capabilities: ['CapEff', 'CapPrm'].map((name) => BigInt(`0x${field(name)[0]}`)),
    rootIsReadOnly: options.includes('ro'),
  };
}
