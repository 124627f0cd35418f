import { randomUUID } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';

/**
 * Makes this process the owner that the file names, until the returned function gives
 * it up. The file of an owner that has died counts for nothing. Returns the owner's
 * process id instead if one is alive, be it this process.
 */
export async function own(file: string): Promise<number | (() => Promise<void>)> {
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, await nameProcess(process.pid));
  try {
    for (;;) {
      try {
        // Unlike a write, a link appears with its content or not at all.
        await link(draft, file);
        return () => rm(file, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const owner = await ownerOf(file);
      if (owner !== undefined) return owner;
      await rm(file, { force: true });
    }
  } finally {
    await rm(draft, { force: true });
  }
}

/** The living process that the file names, if any. */
export async function ownerOf(file: string): Promise<number | undefined> {
  const name = await readFile(file, 'utf8').catch(() => '');
  const pid = Number(name.split(' ')[0]);
  return pid > 0 && (await nameProcess(pid)) === name ? pid : undefined;
}

/** A process' id and when it started, which tells it from a later one with the same id. Empty if it is gone. */
export async function nameProcess(pid: number): Promise<string> {
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    // Fields 3 and 22, state and start in clock ticks since boot; the program's name before them may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return stat === '' || fields[0] === 'Z' ? '' : `${pid} ${fields[19]}`;
  }
  try {
    process.kill(pid, 0);
    return `${pid} running`;
  } catch {
    return '';
  }
}
