import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks per second in which Linux counts CPU time; 100 wherever getconf cannot tell. */
const TICKS = ticksPerSecond();

/** CPU seconds a process has used so far; undefined where there is no /proc. */
export function cpuSeconds(pid: number): number | undefined {
  const stat = readStat(pid);
  return stat && (stat.user + stat.system) / TICKS;
}

/**
 * CPU seconds that Postgres has used so far: the postmaster, its processes, and those
 * that ended and that it has waited for.
 */
export function postgresCpuSeconds(postmaster: number): number | undefined {
  const own = readStat(postmaster);
  if (own === undefined) return undefined;
  let ticks = own.user + own.system + own.childrenUser + own.childrenSystem;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readStat(Number(name));
    if (stat?.parent === postmaster) ticks += stat.user + stat.system;
  }
  return ticks / TICKS;
}

/** Memory of a process in bytes: resident now, and the most it ever was; undefined where there is no /proc. */
export function residentBytes(pid: number): { now: number; peak: number } | undefined {
  const status = read(`/proc/${pid}/status`);
  if (status === undefined) return undefined;
  const kilobytes = (field: string) =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN);
  return { now: kilobytes('VmRSS') * 1024, peak: kilobytes('VmHWM') * 1024 };
}

/** https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function readStat(pid: number) {
  const text = read(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The second field, the name, is in parentheses and may hold anything.
  const fields = text.slice(text.lastIndexOf(') ') + 2).split(' ');
  const [parent, user, system, childrenUser, childrenSystem] = [1, 11, 12, 13, 14].map((i) => Number(fields[i]));
  return {
    parent: parent!,
    user: user!,
    system: system!,
    childrenUser: childrenUser!,
    childrenSystem: childrenSystem!,
  };
}

/** The file, or undefined if there is none: the process has ended, or this is not Linux. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

function ticksPerSecond(): number {
  try {
    return Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' })) || 100;
  } catch {
    return 100;
  }
}
