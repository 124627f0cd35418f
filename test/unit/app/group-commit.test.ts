import { describe, expect, test } from 'vitest';
import { ServiceError, TransientError, unavailable } from '../../../src/app/errors.ts';
import { GroupCommit } from '../../../src/app/group-commit.ts';
import type { TimeLimits } from '../../../src/app/ports.ts';

const present = () => false;

function withoutLocks(execute: (commands: readonly number[]) => Promise<readonly number[]>) {
  return { execute, locksOf: () => [], keptLocks: async () => new Map() };
}

/** A transaction that waits to be let through, and notes which batches it saw. */
function gatedTransaction() {
  const batches: number[][] = [];
  let open: () => void = () => undefined;
  const execute = async (commands: readonly number[]) => {
    batches.push([...commands]);
    await new Promise<void>((resolve) => {
      open = resolve;
    });
    return commands.map((command) => command * 10);
  };
  const letThrough = async () => {
    open();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { batches, execute, letThrough };
}

describe('batches', () => {
  test('a lone command starts at once; those that come meanwhile form the next batch', async () => {
    const { batches, execute, letThrough } = gatedTransaction();
    const group = new GroupCommit(withoutLocks(execute), { maxBatch: 10, maxQueue: 10 });
    const outcomes = Promise.all([1, 2, 3].map((command) => group.submit(command, present)));
    expect(batches).toEqual([[1]]);
    await letThrough();
    expect(batches).toEqual([[1], [2, 3]]);
    await letThrough();
    expect(await outcomes).toEqual([10, 20, 30]);
  });

  test('are no larger than allowed', async () => {
    const { batches, execute, letThrough } = gatedTransaction();
    const group = new GroupCommit(withoutLocks(execute), { maxBatch: 2, maxQueue: 10 });
    const outcomes = Promise.all([1, 2, 3, 4].map((command) => group.submit(command, present)));
    for (let i = 0; i < 3; i++) await letThrough();
    await outcomes;
    expect(batches).toEqual([[1], [2, 3], [4]]);
  });
});

describe('time', () => {
  test('a transaction gets as long as the last of its callers waits', async () => {
    const deadlines: number[] = [];
    const transaction = {
      ...withoutLocks(async () => []),
      execute: async (commands: readonly number[], { deadlineMs }: TimeLimits) => {
        deadlines.push(deadlineMs);
        return commands;
      },
    };
    const group = new GroupCommit(transaction, { maxBatch: 10, maxQueue: 10 });
    const early = Date.now() + 10_000;
    await Promise.all([
      group.submit(1, present, early),
      group.submit(2, present, early),
      group.submit(3, present, early + 500),
    ]);
    await Promise.all([group.submit(4, present, early), group.submit(5, present, early), group.submit(6, present)]);
    expect(deadlines).toEqual([early, early + 500, early, Number.POSITIVE_INFINITY]);
  });

  test('a transaction that nobody waits for is not run again', async () => {
    let runs = 0;
    const execute = async () => {
      runs += 1;
      throw new TransientError('lost');
    };
    const group = new GroupCommit(withoutLocks(execute), { maxBatch: 10, maxQueue: 10 });
    await expect(group.submit(1, present, Date.now())).rejects.toMatchObject({ problem: { kind: 'UNAVAILABLE' } });
    expect(runs).toBe(1);
  });
});

describe('slots', () => {
  /** Transactions that end one by one, the first one begun first. */
  function gates() {
    const batches: number[][] = [];
    const ends: (() => void)[] = [];
    const execute = async (commands: readonly number[]) => {
      batches.push([...commands]);
      await new Promise<void>((resolve) => ends.push(resolve));
      return commands;
    };
    const end = async () => {
      ends.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    };
    return { batches, execute, end };
  }

  test('with many waiting a second transaction begins beside the first, and never a third', async () => {
    const { batches, execute, end } = gates();
    const group = new GroupCommit(withoutLocks(execute), { maxBatch: 100, maxQueue: 1_000 });
    const outcomes = Promise.all(Array.from({ length: 300 }, (_, i) => group.submit(i, present)));
    // The first command went alone; 32 that waited made the second batch.
    expect(batches.map(({ length }) => length)).toEqual([1, 32]);
    await end();
    expect(batches.map(({ length }) => length)).toEqual([1, 32, 100]);
    while (batches.flat().length < 300) await end();
    await end();
    await end();
    expect(await outcomes).toEqual(Array.from({ length: 300 }, (_, i) => i));
    expect(batches.flat()).toEqual(Array.from({ length: 300 }, (_, i) => i));
  });

  test('close waits for both', async () => {
    const { execute, end } = gates();
    const group = new GroupCommit(withoutLocks(execute), { maxBatch: 100, maxQueue: 1_000 });
    const outcomes = Promise.all(Array.from({ length: 33 }, (_, i) => group.submit(i, present)));
    let closed = false;
    const closing = group.close().then(() => {
      closed = true;
    });
    await end();
    expect(closed).toBe(false);
    await end();
    await closing;
    expect(await outcomes).toHaveLength(33);
  });

  test('abandoning the queue turns away what has not begun and lets the rest finish', async () => {
    const { execute, end } = gates();
    const group = new GroupCommit(withoutLocks(execute), { maxBatch: 100, maxQueue: 1_000 });
    const calls = Promise.allSettled(Array.from({ length: 40 }, (_, i) => group.submit(i, present)));
    const closing = group.close();
    group.abandonQueue();
    await end();
    await end();
    await closing;
    expect((await calls).map(({ status }) => status)).toEqual([
      ...Array(33).fill('fulfilled'),
      ...Array(7).fill('rejected'),
    ]);
  });
});

describe('limits', () => {
  test('a full queue turns new commands away and keeps those it has', async () => {
    const { execute, letThrough } = gatedTransaction();
    const group = new GroupCommit(withoutLocks(execute), { maxBatch: 10, maxQueue: 1 });
    const taken = [group.submit(1, present), group.submit(2, present)];
    await expect(group.submit(3, present)).rejects.toMatchObject({ problem: { kind: 'OVERLOADED' } });
    await letThrough();
    await letThrough();
    expect(await Promise.all(taken)).toEqual([10, 20]);
  });

  test('a caller who left the queue is dropped before its transaction, and only then', async () => {
    const { batches, execute, letThrough } = gatedTransaction();
    const group = new GroupCommit(withoutLocks(execute), { maxBatch: 10, maxQueue: 10 });
    let gone = false;
    const inFlight = group.submit(1, () => gone);
    const queued = group.submit(2, () => gone);
    queued.catch(() => undefined);
    gone = true;
    await letThrough();
    await expect(queued).rejects.toMatchObject({ problem: { kind: 'ABANDONED' } });
    expect(await inFlight).toBe(10);
    expect(batches).toEqual([[1]]);
  });

  test('close waits for what was taken and takes nothing more', async () => {
    const { execute, letThrough } = gatedTransaction();
    const group = new GroupCommit(withoutLocks(execute), { maxBatch: 10, maxQueue: 10 });
    const taken = group.submit(1, present);
    const closed = group.close();
    await expect(group.submit(2, present)).rejects.toMatchObject({ problem: { kind: 'UNAVAILABLE' } });
    await letThrough();
    await closed;
    expect(await taken).toBe(10);
  });
});

describe('failures', () => {
  test('a bad command fails alone', async () => {
    const batches: number[][] = [];
    const execute = async (commands: readonly number[]) => {
      batches.push([...commands]);
      if (commands.includes(3)) throw new Error('three');
      return commands;
    };
    const group = new GroupCommit(withoutLocks(execute), { maxBatch: 10, maxQueue: 10 });
    const outcomes = await Promise.allSettled([1, 2, 3, 4].map((command) => group.submit(command, present)));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(batches).toEqual([[1], [2, 3, 4], [2], [3], [4]]);
  });

  test('a transient failure is run again with the same commands', async () => {
    let attempts = 0;
    const group = new GroupCommit(
      withoutLocks(async (commands: readonly number[]) => {
        attempts += 1;
        if (attempts < 3) throw new TransientError('again');
        return commands;
      }),
      { maxBatch: 10, maxQueue: 10 },
    );
    expect(await group.submit(1, present)).toBe(1);
    expect(attempts).toBe(3);
  });

  test('after an attempt that may have committed nobody is told OVERLOADED, which says that nothing was stored', async () => {
    const busy = new ServiceError({ kind: 'OVERLOADED', retryAfterMs: 1_000 }, 'All connections are busy.');
    const errors: Error[] = [busy, new TransientError('lost'), busy];
    const failing = withoutLocks(async () => Promise.reject(errors.shift()));
    const group = new GroupCommit(failing, { maxBatch: 10, maxQueue: 10 });
    await expect(group.submit(1, present)).rejects.toBe(busy);
    await expect(group.submit(2, present)).rejects.toMatchObject({ problem: { kind: 'UNAVAILABLE' } });
    expect(errors).toEqual([]);
  });

  test('retries are bounded and end in UNAVAILABLE for the whole batch', async () => {
    let attempts = 0;
    const group = new GroupCommit(
      withoutLocks(async (): Promise<number[]> => {
        attempts += 1;
        throw new TransientError('again');
      }),
      { maxBatch: 10, maxQueue: 10 },
    );
    await expect(group.submit(1, present)).rejects.toMatchObject({ problem: { kind: 'UNAVAILABLE' } });
    expect(attempts).toBe(4);
  });

  test('without a database callers are not tried one by one, and later ones are served again', async () => {
    let attempts = 0;
    let up = false;
    const group = new GroupCommit(
      withoutLocks(async (commands: readonly number[]) => {
        attempts += 1;
        if (!up) throw unavailable('No database.');
        return commands;
      }),
      { maxBatch: 10, maxQueue: 10 },
    );
    const outcomes = await Promise.allSettled([1, 2, 3].map((command) => group.submit(command, present)));
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(attempts).toBe(2);
    up = true;
    expect(await group.submit(4, present)).toBe(4);
  });

  test('a ServiceError keeps its cause for the log', () => {
    const cause = new Error('socket');
    expect(unavailable('No database.', cause)).toBeInstanceOf(ServiceError);
    expect(unavailable('No database.', cause).cause).toBe(cause);
  });
});
