import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { chmod, chown, cp, mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Postgres refuses to run as root. The user it runs as instead; undefined if we are not root. */
export function serverUser(): number | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8');
  for (const name of ['postgres', 'nobody']) {
    const uid = new RegExp(`^${name}:[^:]*:(\\d+):`, 'm').exec(users)?.[1];
    if (uid !== undefined) return Number(uid);
  }
  throw new Error(
    'Postgres must not run as root, and there is neither a user postgres nor nobody. Run this as another user.',
  );
}

/** The group that the user belongs to first of all; its number is rarely the user's own. */
export function primaryGroup(uid: number): number {
  const gid = new RegExp(`^[^:]*:[^:]*:${uid}:(\\d+):`, 'm').exec(readFileSync('/etc/passwd', 'utf8'))?.[1];
  if (gid === undefined) throw new Error(`There is no user ${uid}`);
  return Number(gid);
}

/**
 * A folder that the user can use in place of the given one: the folder itself, or,
 * where one above it is closed to others, one in /var/tmp that stands for it, filled
 * with a copy if asked to. Anyone who is not root just uses the folder.
 */
export async function forServerUser(
  folder: string,
  uid: number | undefined,
  options = { copy: false },
): Promise<string> {
  if (uid === undefined) {
    await mkdir(folder, { recursive: true });
    return folder;
  }
  if (options.copy) {
    // By its time as well, so that what a later npm ci installs is copied anew.
    const place = standIn(folder, statSync(folder).mtimeMs);
    // What stands there is going to be run, so it must be a copy that we made.
    if (existsSync(place) && statSync(place).uid !== 0) throw new Error(`${place} does not belong to root; remove it`);
    if (place !== folder && !existsSync(place)) await copyWhole(folder, place);
    return place;
  }
  const place = standIn(folder);
  await mkdir(place, { recursive: true });
  await mkdir(folder, { recursive: true });
  await chown(place, uid, primaryGroup(uid));
  await chmod(place, 0o700);
  return place;
}

/** Copies a folder so that the copy appears whole or not at all. */
async function copyWhole(folder: string, place: string): Promise<void> {
  const draft = `${place}.${process.pid}`;
  try {
    await cp(folder, draft, { recursive: true, verbatimSymlinks: true });
    await rename(draft, place);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Another process may have been quicker.
    if (!existsSync(place)) throw error;
  }
}

/** Where forServerUser keeps what belongs to the folder. */
export function standIn(folder: string, edition?: number): string {
  if (process.getuid?.() !== 0 || openToOthers(folder)) return folder;
  const name = createHash('sha256')
    .update(`${folder} ${edition ?? ''}`)
    .digest('hex')
    .slice(0, 16);
  return `/var/tmp/payment-ledger-${name}`;
}

/** Whether everyone may pass through the folders above. */
function openToOthers(folder: string): boolean {
  for (let above = dirname(folder); ; above = dirname(above)) {
    if (existsSync(above) && (statSync(above).mode & 0o001) === 0) return false;
    if (above === dirname(above)) return true;
  }
}
