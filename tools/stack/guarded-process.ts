import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, mkdirSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { endLeftover, noteProcess } from './leftover.ts';
import { primaryGroup } from './server-user.ts';

export interface ProcessSpec {
  /** What to call it in messages. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Run as this user and its group; for root only. */
  readonly uid?: number | undefined;
  /** Its output, appended. */
  readonly logFile: string;
  /**
   * Where to note which process runs. Should its guard be killed outright too, the next
   * start with this file ends it first.
   */
  readonly pidFile?: string;
  /** What asks it to stop in good order. */
  readonly stopSignal: NodeJS.Signals;
}

/** A process that cannot outlive this one; guard.mjs sees to that. */
export class GuardedProcess {
  readonly #spec: ProcessSpec;
  #guard: ChildProcess | undefined;
  #pid: number | undefined;
  /** How long the log was, in bytes, before this start. */
  #logStart = 0;

  constructor(spec: ProcessSpec) {
    this.#spec = spec;
  }

  /** Starts it; resolves as soon as it runs, ready or not. Throws if it runs already. */
  async start(): Promise<void> {
    const { name, command, args, env, cwd, uid, logFile, pidFile, stopSignal } = this.#spec;
    if (this.running) throw new Error(`${name} is running already`);
    if (pidFile !== undefined) await endLeftover(pidFile);
    mkdirSync(dirname(logFile), { recursive: true });
    const log = openSync(logFile, 'a');
    this.#logStart = fstatSync(log).size;
    const guard = spawn(process.execPath, [join(import.meta.dirname, 'guard.mjs'), stopSignal, command, ...args], {
      detached: true,
      // The pipe to its standard input is how it notices that we are gone.
      stdio: ['pipe', log, log, 'ipc'],
      env: {
        ...process.env,
        ...env,
        ...(uid !== undefined && { GUARD_UID: String(uid), GUARD_GID: String(primaryGroup(uid)) }),
      },
      ...(cwd !== undefined && { cwd }),
    });
    closeSync(log);
    // Its end is told by 'exit'; a pipe that breaks then is no news.
    guard.stdin?.on('error', () => undefined);
    this.#guard = guard;
    const [pid] = await Promise.race([once(guard, 'message'), once(guard, 'exit').then(() => [undefined])]);
    this.#pid = pid as number | undefined;
    if (this.#pid !== undefined && pidFile !== undefined) await noteProcess(pidFile, this.#pid, stopSignal);
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

  /** The last lines of its log since it was started. */
  async lastLines(count = 15): Promise<string> {
    return (await this.#log()).trimEnd().split('\n').slice(-count).join('\n');
  }

  /** Whether its log says so since it was started. */
  async printed(text: string): Promise<boolean> {
    return (await this.#log()).includes(text);
  }

  async #log(): Promise<string> {
    const bytes = await readFile(this.#spec.logFile).catch(() => Buffer.alloc(0));
    return bytes.subarray(this.#logStart).toString();
  }

  async #end(how: (guard: ChildProcess) => void): Promise<void> {
    const guard = this.#guard;
    if (guard !== undefined && this.running) {
      const exited = once(guard, 'exit');
      how(guard);
      this.#guard = undefined;
      await exited;
    }
    // Gone already, unless something killed its guard.
    if (this.#spec.pidFile !== undefined) await endLeftover(this.#spec.pidFile);
  }
}
