import type { Call } from './batcher.ts';
import { ContendedError, databaseUnavailable, perhapsCommitted, ServiceError, TransientError } from './errors.ts';
import type { Lock, LockHolder, TimeLimits } from './ports.ts';

export type { Lock } from './ports.ts';

/** What GroupCommit runs, and what it has to know of the locks that commands need. */
export interface GroupTransaction<Command, Outcome> {
  /**
   * Runs commands in one transaction and returns their outcomes in the same order.
   * Throws TransientError, ContendedError and ServiceError as UnitOfWork.run does.
   */
  execute(commands: readonly Command[], limits: TimeLimits): Promise<readonly Outcome[]>;
  /** What the command locks. */
  locksOf(command: Command): readonly Lock[];
  /** How many commands it counts as; one if there is no such function. */
  weightOf?(command: Command): number;
  /** See UnitOfWork.keptLocks. */
  keptLocks(locks: readonly Lock[]): Promise<ReadonlyMap<string, LockHolder>>;
}

/** A command and its caller. */
export interface Submission<Command> {
  readonly command: Command;
  /** Whether the caller has gone: cancelled, or past its deadline. */
  readonly abandoned: () => boolean;
  /** When the caller will have gone for sure, by Date.now(); Infinity if it waits for ever. */
  readonly deadlineMs: number;
  /** By performance.now(). */
  readonly submittedAtMs: number;
}

export type Submitted<Command, Outcome> = Call<Submission<Command>, Outcome>;

/** Callers who get their outcomes in one turn of the event loop: answering takes longer than a reply of Postgres may wait. */
const ANSWERS_PER_TURN = 32;

/** Waits before a transaction that failed for no fault of its own is run again, in milliseconds. */
const RETRY_DELAYS_MS = [5, 50, 250];

/** Runs batches of commands in transactions and answers their callers. */
export class BatchRunner<Command, Outcome> {
  readonly #transaction: Pick<GroupTransaction<Command, Outcome>, 'execute'>;
  readonly #answering = new Set<Promise<void>>();

  constructor(transaction: Pick<GroupTransaction<Command, Outcome>, 'execute'>) {
    this.#transaction = transaction;
  }

  /**
   * Runs the batch in one transaction and answers every caller, one way or the other,
   * but for those it returns: their locks were not granted within lockWaitMs, and they
   * may be run again. Never throws.
   */
  async run(
    batch: readonly Submitted<Command, Outcome>[],
    lockWaitMs: number,
  ): Promise<readonly Submitted<Command, Outcome>[]> {
    const present = batch.filter((call) => !dismissed(call));
    if (present.length === 0) return [];
    try {
      const commands = present.map(({ item }) => item.command);
      // A caller who has less time than the others must not end their transaction.
      const deadlineMs = Math.max(...present.map(({ item }) => item.deadlineMs));
      const outcomes = await this.#executeWithRetries(commands, { lockWaitMs, deadlineMs });
      const answered = answer(present, outcomes).then(() => {
        this.#answering.delete(answered);
      });
      this.#answering.add(answered);
      return [];
    } catch (error) {
      if (error instanceof ContendedError) return present;
      // One bad command must not fail its neighbours, so each gets a transaction of
      // its own; without a database there is no use in asking one by one.
      if (present.length === 1 || error instanceof ServiceError) {
        for (const { reject } of present) reject(error);
        return [];
      }
      const contended = [];
      for (const call of present) contended.push(...(await this.run([call], lockWaitMs)));
      return contended;
    }
  }

  /** Resolves when the callers of the transactions that have ended have their outcomes. */
  async answered(): Promise<void> {
    await Promise.all(this.#answering);
  }

  async #executeWithRetries(commands: readonly Command[], limits: TimeLimits): Promise<readonly Outcome[]> {
    for (const [failures, delayMs] of RETRY_DELAYS_MS.entries()) {
      try {
        return await this.#transaction.execute(commands, limits);
      } catch (error) {
        if (!(error instanceof TransientError)) throw failures === 0 ? error : perhapsCommitted(error);
        // Nobody would hear what became of it.
        if (Date.now() >= limits.deadlineMs) throw keepsFailing(error);
        // Jitter keeps replicas that collided from colliding again.
        await new Promise((resume) => setTimeout(resume, delayMs * (0.5 + Math.random())));
      }
    }
    try {
      return await this.#transaction.execute(commands, limits);
    } catch (error) {
      throw error instanceof TransientError ? keepsFailing(error) : perhapsCommitted(error);
    }
  }
}

/** Gives the callers their outcomes, a slice at a time: the next transaction does not wait for all of them. */
async function answer<Command, Outcome>(
  callers: readonly Submitted<Command, Outcome>[],
  outcomes: readonly Outcome[],
): Promise<void> {
  for (let first = 0; first < callers.length; first += ANSWERS_PER_TURN) {
    await new Promise((resume) => setImmediate(resume));
    const end = Math.min(first + ANSWERS_PER_TURN, callers.length);
    for (let i = first; i < end; i++) callers[i]!.resolve(outcomes[i]!);
  }
}

/** Turns away a caller that has gone. Only before its transaction begins: afterwards it may have paid. */
function dismissed<Command, Outcome>({ item, reject }: Submitted<Command, Outcome>): boolean {
  if (!item.abandoned()) return false;
  reject(new ServiceError({ kind: 'ABANDONED' }, 'The call ended before its payment was begun.'));
  return true;
}

function keepsFailing(error: TransientError): ServiceError {
  return databaseUnavailable('The database keeps failing.', error);
}
