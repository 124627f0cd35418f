import { readFile, rm, writeFile } from 'node:fs/promises';
import { nameProcess } from './ownership.ts';

const KILL_AFTER_MS = 15_000;
const GIVE_UP_AFTER_MS = 20_000;

/** Notes in the file which process runs, so that endLeftover() finds it if its guard cannot end it. */
export async function noteProcess(file: string, pid: number, stopSignal: NodeJS.Signals): Promise<void> {
  await writeFile(file, `${await nameProcess(pid)}\n${stopSignal}\n`);
}

/**
 * Ends the process noted in the file if it still runs: its owner and its guard were
 * both killed outright, or its guard is still about it. Resolves when it is gone.
 * Throws if it will not go.
 */
export async function endLeftover(file: string): Promise<void> {
  const [name = '', stopSignal] = (await readFile(file, 'utf8').catch(() => '')).split('\n');
  const pid = Number(name.split(' ')[0]);
  const since = Date.now();
  const runs = async () => pid > 0 && (await nameProcess(pid)) === name;
  if (await runs()) signal(pid, stopSignal as NodeJS.Signals);
  while (await runs()) {
    const waitedMs = Date.now() - since;
    if (waitedMs > GIVE_UP_AFTER_MS) throw new Error(`Process ${pid}, left by an earlier run, does not end`);
    if (waitedMs > KILL_AFTER_MS) signal(pid, 'SIGKILL');
    await new Promise((resume) => setTimeout(resume, 50));
  }
  await rm(file, { force: true });
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // It may end at any moment; that is the aim.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
