import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ContendedError, unavailable } from '../../../src/app/errors.ts';
import { GroupCommit } from '../../../src/app/group-commit.ts';
import type { LockHolder } from '../../../src/app/ports.ts';

interface Command {
  readonly accounts: readonly string[];
  readonly key: string;
}

// Waits for locks pass at once; everything else runs as it does.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

let keys = 0;
const pay = (...accounts: string[]): Command => ({ accounts, key: `key-${keys++}` });
const theirs: LockHolder = { transactionId: '7', ours: false };

/** A ledger in which the test keeps locks: those of accounts, of keys, and of all tables. */
function lockedLedger({ maxQueue = 1_000 } = {}) {
  const kept = new Map<string, LockHolder>();
  const ledger = { tablesLocked: false, broken: false, looks: 0 };
  const batches: { keys: string[]; lockWaitMs: number; contended: boolean }[] = [];
  const isLocked = ({ accounts, key }: Command) =>
    ledger.tablesLocked || [...accounts, key].some((name) => kept.has(name));
  const group = new GroupCommit<Command, string>(
    {
      async execute(commands, { lockWaitMs }) {
        for (let waited = 0; waited < lockWaitMs && commands.some(isLocked); waited += 10) {
          await new Promise((resume) => setTimeout(resume, 10));
        }
        const contended = commands.some(isLocked);
        batches.push({ keys: commands.map(({ key }) => key), lockWaitMs, contended });
        if (contended) throw new ContendedError('locked');
        return commands.map(({ key }) => key);
      },
      locksOf: ({ accounts, key }) => [...accounts, key].map((name) => ({ name, accountId: name })),
      async keptLocks(locks) {
        ledger.looks += 1;
        if (ledger.broken) throw unavailable('No database.');
        return new Map(locks.flatMap(({ name }) => (kept.has(name) ? [[name, kept.get(name)!]] : [])));
      },
    },
    { maxBatch: 100, maxQueue },
  );
  const submit = (command: Command, abandoned = () => false) => {
    const call = { command, answer: '', atMs: Number.NaN };
    const submittedAtMs = performance.now();
    const answer = (text: string) => {
      call.answer = text;
      call.atMs = performance.now() - submittedAtMs;
    };
    group.submit(command, abandoned).then(
      () => answer('decided'),
      (error) => answer(error.problem?.kind ?? String(error)),
    );
    return call;
  };
  const contended = () => batches.filter((batch) => batch.contended);
  return { kept, ledger, batches, contended, group, submit };
}

/** Lets time pass, in steps that leave the event loop its turns. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10) {
    await vi.advanceTimersByTimeAsync(10);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const answers = (calls: readonly { answer: string }[]) => calls.map(({ answer }) => answer);

describe('a stuck lock', () => {
  test('of an account: its payments wait by themselves for a second, the others of their batch go on', async () => {
    const { kept, submit } = lockedLedger();
    kept.set('stuck', theirs);
    const calls = [pay('a'), pay('b'), pay('a', 'stuck'), pay('c')].map((each) => submit(each));
    await pass(300);
    expect(answers(calls)).toEqual(['decided', 'decided', '', 'decided']);
    await pass(1_100);
    expect(calls[2]?.answer).toBe('UNAVAILABLE');
  });

  test('of a key: the same', async () => {
    const { kept, submit } = lockedLedger();
    const stuck = pay('a');
    kept.set(stuck.key, theirs);
    const calls = [pay('a'), stuck, ...Array.from({ length: 40 }, () => pay('a'))].map((each) => submit(each));
    await pass(400);
    expect(answers(calls).filter((answer) => answer !== 'decided')).toEqual(['']);
    await pass(1_100);
    expect(calls[1]?.answer).toBe('UNAVAILABLE');
  });

  test('that is known: no batch waits for it, however often it is needed', async () => {
    const { kept, contended, submit, batches } = lockedLedger();
    kept.set('stuck', theirs);
    submit(pay('stuck'));
    await pass(1_500);
    batches.length = 0;
    const calls = [];
    for (let round = 0; round < 10; round++) {
      calls.push(submit(pay('a')), submit(pay('stuck', 'a')), submit(pay('b')));
      await pass(200);
    }
    await pass(1_000);
    expect(answers(calls)).toEqual(
      calls.map(({ command }) => (command.accounts.includes('stuck') ? 'UNAVAILABLE' : 'decided')),
    );
    expect(contended()).toEqual([]);
  });

  test('that callers do not wait for is remembered all the same', async () => {
    const { kept, contended, submit, batches } = lockedLedger();
    kept.set('stuck', theirs);
    submit(pay('stuck'), () => true);
    submit(pay('stuck'));
    await pass(500);
    batches.length = 0;
    for (let round = 0; round < 10; round++) {
      submit(pay('stuck'), () => true);
      await pass(700);
    }
    expect(contended()).toEqual([]);
  });

  test('that is given back: those who waited are authorized, and go with the others from then on', async () => {
    const { kept, batches, submit } = lockedLedger();
    kept.set('stuck', theirs);
    const waiting = [submit(pay('stuck'))];
    await pass(400);
    waiting.push(submit(pay('stuck')), submit(pay('stuck', 'a')));
    await pass(200);
    kept.clear();
    await pass(200);
    expect(answers(waiting)).toEqual(['decided', 'decided', 'decided']);
    batches.length = 0;
    const calls = [pay('a'), pay('stuck'), pay('b')].map((each) => submit(each));
    await pass(50);
    expect(answers(calls)).toEqual(['decided', 'decided', 'decided']);
    expect(batches.map((batch) => batch.keys.length)).toEqual([1, 2]);
  });

  test('does not keep the payments of another account that was stuck with it, once that is free', async () => {
    const { kept, submit } = lockedLedger();
    kept.set('x', theirs).set('y', theirs);
    for (const call of [pay('x'), pay('y'), pay('x', 'y')]) submit(call);
    await pass(500);
    kept.delete('x');
    await pass(100);
    const calls = [];
    for (let round = 0; round < 20; round++) {
      calls.push(submit(pay('x')), submit(pay('x', 'y')));
      await pass(100);
    }
    await pass(1_500);
    expect(answers(calls)).toEqual(
      calls.map(({ command }) => (command.accounts.length === 1 ? 'decided' : 'UNAVAILABLE')),
    );
    expect(Math.max(...calls.filter(({ answer }) => answer === 'decided').map(({ atMs }) => atMs))).toBeLessThan(200);
  });

  test('beside sixty others delays nobody who does not need it', async () => {
    const { kept, submit } = lockedLedger();
    for (let n = 0; n < 60; n++) {
      kept.set(`stuck-${n}`, { transactionId: String(n), ours: false });
      submit(pay(`stuck-${n}`));
    }
    await pass(500);
    kept.set('late', { transactionId: 'late', ours: false });
    const calls = [pay('late'), ...Array.from({ length: 20 }, () => pay('a'))].map((each) => submit(each));
    await pass(400);
    expect(answers(calls)).toEqual(['', ...Array(20).fill('decided')]);
  });
});

describe('locks that are not stuck', () => {
  test('of an account that one transaction after the other keeps', async () => {
    const { kept, submit } = lockedLedger();
    kept.set('busy', theirs);
    const call = submit(pay('busy'));
    for (let transaction = 0; transaction < 50; transaction++) {
      kept.set('busy', { transactionId: String(transaction), ours: false });
      await pass(20);
    }
    kept.clear();
    await pass(1_000);
    expect(call.answer).toBe('decided');
  });

  test('of an account that was stuck, and that others keep one after the other since', async () => {
    const { kept, submit } = lockedLedger();
    kept.set('busy', theirs);
    const call = submit(pay('busy'));
    await pass(400);
    for (let transaction = 0; transaction < 60; transaction++) {
      kept.set('busy', { transactionId: `busy-${transaction}`, ours: false });
      await pass(20);
    }
    kept.clear();
    await pass(1_000);
    expect(call.answer).toBe('decided');
  });

  test('of a slow transaction of this process: those who need them wait until it ends', async () => {
    const { kept, submit } = lockedLedger();
    kept.set('slow', { transactionId: '7', ours: true });
    const call = submit(pay('slow'));
    await pass(1_500);
    expect(call.answer).toBe('');
    kept.clear();
    await pass(1_000);
    expect(call.answer).toBe('decided');
  });

  test('are waited for longer each time, and shortly again after batches that got theirs', async () => {
    const { kept, contended, submit } = lockedLedger();
    kept.set('slow', { transactionId: '7', ours: true });
    submit(pay('slow'));
    await pass(1_200);
    expect(contended().map(({ lockWaitMs }) => lockWaitMs)).toEqual([100, 200, 400]);
    kept.clear();
    for (let n = 0; n < 10; n++) {
      submit(pay('a'));
      await pass(100);
    }
    kept.set('slow', { transactionId: '8', ours: true });
    submit(pay('slow'));
    await pass(150);
    expect(contended().at(-1)?.lockWaitMs).toBe(100);
  });
});

describe('tables that are locked as a whole', () => {
  test('one who calls alone is told after a few seconds', async () => {
    const { ledger, submit } = lockedLedger();
    ledger.tablesLocked = true;
    const call = submit(pay('a'));
    await pass(4_000);
    expect(call.answer).toBe('UNAVAILABLE');
  });

  test('so are thousands, and all is well again afterwards', async () => {
    const { ledger, submit } = lockedLedger({ maxQueue: 5_000 });
    ledger.tablesLocked = true;
    const calls = Array.from({ length: 3_000 }, () => submit(pay('a')));
    await pass(10_000);
    expect(new Set(answers(calls))).toEqual(new Set(['UNAVAILABLE']));
    ledger.tablesLocked = false;
    const later = Array.from({ length: 300 }, () => submit(pay('a')));
    await pass(500);
    expect(new Set(answers(later))).toEqual(new Set(['decided']));
  });
});

describe('bounds and ends', () => {
  test('only so many calls wait for stuck locks; the others are told at once', async () => {
    const { kept, submit } = lockedLedger({ maxQueue: 100 });
    kept.set('stuck', theirs);
    submit(pay('stuck'));
    await pass(300);
    const calls = Array.from({ length: 100 }, () => submit(pay('stuck')));
    await pass(20);
    expect(calls.filter(({ answer }) => answer === 'UNAVAILABLE')).toHaveLength(1);
    await pass(1_500);
    expect(new Set(answers(calls))).toEqual(new Set(['UNAVAILABLE']));
  });

  test('calls are told when it cannot be found out who keeps a lock', async () => {
    const { kept, ledger, submit } = lockedLedger();
    kept.set('stuck', theirs);
    ledger.broken = true;
    const early = submit(pay('stuck'));
    await pass(200);
    expect(early.answer).toBe('UNAVAILABLE');
    ledger.broken = false;
    const waiting = submit(pay('stuck'));
    await pass(400);
    ledger.broken = true;
    await pass(100);
    expect(waiting.answer).toBe('UNAVAILABLE');
  });

  test('nothing is looked at any more once nobody has needed a stuck lock for a while', async () => {
    const { kept, ledger, submit } = lockedLedger();
    kept.set('stuck', theirs);
    submit(pay('stuck'));
    await pass(5_000);
    const { looks } = ledger;
    await pass(5_000);
    expect(ledger.looks).toBe(looks);
  });

  test('close waits for those who wait for stuck locks', async () => {
    const { kept, group, submit } = lockedLedger();
    kept.set('stuck', theirs);
    const call = submit(pay('stuck'));
    await pass(300);
    let closed = false;
    const closing = group.close().then(() => {
      closed = true;
    });
    await pass(300);
    expect([call.answer, closed]).toEqual(['', false]);
    await pass(1_000);
    await closing;
    expect(call.answer).toBe('UNAVAILABLE');
  });

  test('abandoning ends those who wait for stuck locks, and those who are being sorted out', async () => {
    const { kept, group, submit } = lockedLedger();
    kept.set('stuck', theirs);
    const waiting = submit(pay('stuck'));
    await pass(300);
    kept.set('other', { transactionId: '8', ours: false });
    const sorted = [submit(pay('other')), submit(pay('a'))];
    await pass(120);
    const closing = group.close();
    group.abandonQueue();
    kept.delete('other');
    await pass(10);
    expect(waiting.answer).toBe('UNAVAILABLE');
    await pass(1_300);
    await closing;
    expect(answers(sorted)).toEqual(['UNAVAILABLE', 'decided']);
  });
});
