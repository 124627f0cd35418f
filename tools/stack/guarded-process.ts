import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface ProcessSpec {
  /** What to call it in messages. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Run as this user and the group of the same number; for root only. */
  readonly uid?: number | undefined;
  /** Its output, appended. */
  readonly logFile: string;
  /** What asks it to stop in good order. */
  readonly stopSignal: NodeJS.Signals;
}

/** A process that cannot outlive this one; guard.mjs sees to that. */
export class GuardedProcess {
  readonly #spec: ProcessSpec;
  #guard: ChildProcess | undefined;
  #pid: number | undefined;

  constructor(spec: ProcessSpec) {
    this.#spec = spec;
  }

  /** Starts it; resolves as soon as it runs, ready or not. */
  async start(): Promise<void> {
    const { command, args, env, cwd, uid, logFile, stopSignal } = this.#spec;
    mkdirSync(dirname(logFile), { recursive: true });
    const log = openSync(logFile, 'a');
    const guard = spawn(process.execPath, [join(import.meta.dirname, 'guard.mjs'), stopSignal, command, ...args], {
      detached: true,
      // The pipe to its standard input is how it notices that we are gone.
      stdio: ['pipe', log, log, 'ipc'],
      env: { ...process.env, ...env, ...(uid !== undefined && { GUARD_UID: String(uid) }) },
      ...(cwd !== undefined && { cwd }),
    });
    closeSync(log);
    // Its end is told by 'exit'; a pipe that breaks then is no news.
    guard.stdin?.on('error', () => undefined);
    this.#guard = guard;
    const [pid] = await Promise.race([once(guard, 'message'), once(guard, 'exit').then(() => [undefined])]);
    this.#pid = pid as number | undefined;
    // Neither channel shall keep this process alive.
    guard.disconnect?.();
  }

  /** The process' own id, not its guard's. Throws if it is not running. */
  get pid(): number {
    if (this.#pid === undefined || !this.running) throw new Error(`${this.#spec.name} is not running`);
    return this.#pid;
  }

  get running(): boolean {
    return this.#guard !== undefined && this.#guard.exitCode === null && this.#guard.signalCode === null;
  }

  /** Calls listener when it ends without having been asked to. */
  onUnexpectedExit(listener: () => void): void {
    const guard = this.#guard;
    guard?.once('exit', () => {
      if (this.#guard === guard) listener();
    });
  }

  /** Stops it in good order, by force after 15 seconds; resolves when it is gone. */
  async stop(): Promise<void> {
    await this.#end((guard) => guard.kill('SIGTERM'));
  }

  /** Ends it as a crash would; resolves when it is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#end(() => process.kill(this.pid, signal));
  }

  /** The last lines of its log. */
  async lastLines(count = 15): Promise<string> {
    const text = await readFile(this.#spec.logFile, 'utf8').catch(() => '');
    return text.trimEnd().split('\n').slice(-count).join('\n');
  }

  async #end(how: (guard: ChildProcess) => void): Promise<void> {
    const guard = this.#guard;
    if (guard === undefined || !this.running) return;
    const exited = once(guard, 'exit');
    how(guard);
    this.#guard = undefined;
    await exited;
  }
}
