import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ContendedError } from '../../../src/app/errors.ts';
import { GroupCommit } from '../../../src/app/group-commit.ts';
import type { LockHolder } from '../../../src/app/ports.ts';

interface Command {
  readonly account: string;
  readonly key: string;
}

// Waits for locks pass at once; everything else runs as it does.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

const present = () => false;
let keys = 0;
const pay = (account: string, key = `key-${keys++}`): Command => ({ account, key });

/** A ledger in which the test keeps locks. */
function lockedLedger() {
  const accounts = new Map<string, LockHolder>();
  const stuckKeys = new Set<string>();
  const batches: { keys: string[]; lockWaitMs: number; contended: boolean }[] = [];
  const isStuck = ({ account, key }: Command) => accounts.has(account) || stuckKeys.has(key);
  const group = new GroupCommit<Command, string>(
    {
      async execute(commands, lockWaitMs) {
        if (commands.some(isStuck)) await new Promise((resume) => setTimeout(resume, lockWaitMs));
        const contended = commands.some(isStuck);
        batches.push({ keys: commands.map(({ key }) => key), lockWaitMs, contended });
        if (contended) throw new ContendedError('locked');
        return commands.map(({ key }) => key);
      },
      accountsOf: ({ account }) => [account],
      keyOf: ({ key }) => key,
      lockHolders: async (ids) => new Map(ids.flatMap((id) => (accounts.has(id) ? [[id, accounts.get(id)!]] : []))),
    },
    { maxBatch: 100, maxQueue: 100 },
  );
  const submit = (command: Command) => {
    const call = { command, answer: '' };
    group.submit(command, present).then(
      () => {
        call.answer = 'decided';
      },
      (error) => {
        call.answer = error.problem.kind;
      },
    );
    return call;
  };
  return { accounts, stuckKeys, batches, group, submit };
}

const theirs = { transactionId: '7', ours: false };

/** Lets time pass, in steps that leave the event loop its turns. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10) {
    await vi.advanceTimersByTimeAsync(10);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('payments of a stuck account wait by themselves, and the others of their batch go on', async () => {
  const { accounts, submit } = lockedLedger();
  accounts.set('stuck', theirs);
  const calls = [pay('a'), pay('b'), pay('stuck'), pay('c')].map(submit);
  await pass(300);
  expect(calls.map(({ answer }) => answer)).toEqual(['decided', 'decided', '', 'decided']);
  await pass(1_100);
  expect(calls[2]?.answer).toBe('UNAVAILABLE');
});

test('while an account is known to be stuck, no batch of others waits for it', async () => {
  const { accounts, batches, submit } = lockedLedger();
  accounts.set('stuck', theirs);
  submit(pay('stuck'));
  await pass(1_500);
  batches.length = 0;
  const calls = [];
  for (let round = 0; round < 10; round++) {
    calls.push(submit(pay('a')), submit(pay('stuck')), submit(pay('b')));
    await pass(200);
  }
  await pass(1_000);
  expect(calls.map(({ answer }) => answer)).toEqual(
    calls.map(({ command }) => (command.account === 'stuck' ? 'UNAVAILABLE' : 'decided')),
  );
  const waited = batches.filter(({ contended }) => contended).flatMap((batch) => batch.keys);
  expect(waited.sort()).toEqual(
    calls
      .filter(({ command }) => command.account === 'stuck')
      .map(({ command }) => command.key)
      .sort(),
  );
});

test('a stuck key is found by halving, and its repetitions wait by themselves', async () => {
  const { stuckKeys, batches, submit } = lockedLedger();
  stuckKeys.add('stuck');
  const calls = [...Array.from({ length: 40 }, () => pay('a')), pay('a', 'stuck')].map(submit);
  await pass(1_000);
  expect(calls.filter(({ answer }) => answer === 'decided')).toHaveLength(40);
  await pass(1_500);
  expect(calls.at(-1)?.answer).toBe('UNAVAILABLE');

  batches.length = 0;
  const [repeated, other] = [submit(pay('a', 'stuck')), submit(pay('a'))];
  await pass(200);
  expect([repeated.answer, other.answer]).toEqual(['UNAVAILABLE', 'decided']);
  expect(batches.filter(({ contended }) => contended).map((batch) => batch.keys)).toEqual([['stuck']]);
});

test('a lock that is given back: those who waited are authorized, and go with the others from then on', async () => {
  const { accounts, batches, submit } = lockedLedger();
  accounts.set('stuck', theirs);
  const waiting = submit(pay('stuck'));
  await pass(500);
  accounts.clear();
  await pass(1_000);
  expect(waiting.answer).toBe('decided');
  batches.length = 0;
  const calls = [pay('a'), pay('stuck'), pay('b')].map(submit);
  await pass(50);
  expect(calls.map(({ answer }) => answer)).toEqual(['decided', 'decided', 'decided']);
  expect(batches.map((batch) => batch.keys.length)).toEqual([1, 2]);
});

test('an account that is locked by one transaction after the other is not stuck', async () => {
  const { accounts, submit } = lockedLedger();
  accounts.set('busy', theirs);
  const call = submit(pay('busy'));
  for (let transaction = 0; transaction < 25; transaction++) {
    accounts.set('busy', { transactionId: String(transaction), ours: false });
    await pass(20);
  }
  accounts.clear();
  await pass(1_000);
  expect(call.answer).toBe('decided');
});

test('batches wait longer for locks that are only busy, and shortly again once one is stuck', async () => {
  const { accounts, batches, submit } = lockedLedger();
  let transaction = 0;
  const payWhileBusy = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 20) {
      accounts.set('busy', { transactionId: `busy-${transaction++}`, ours: false });
      if (passed === 0) submit(pay('busy'));
      await pass(20);
    }
    accounts.delete('busy');
  };
  const waits = () => batches.splice(0).flatMap(({ contended, lockWaitMs }) => (contended ? [lockWaitMs] : []));
  await payWhileBusy(250);
  await pass(500);
  await payWhileBusy(350);
  await pass(500);
  expect(waits().slice(0, 2)).toEqual([100, 200]);
  accounts.set('stuck', theirs);
  submit(pay('stuck'));
  await pass(2_000);
  waits();
  await payWhileBusy(250);
  expect(waits()[0]).toBe(100);
});

test('a slow transaction of this process is not stuck: those who need its locks wait until it ends', async () => {
  const { accounts, submit } = lockedLedger();
  accounts.set('slow', { transactionId: '7', ours: true });
  const call = submit(pay('slow'));
  await pass(3_000);
  expect(call.answer).toBe('');
  accounts.clear();
  await pass(500);
  expect(call.answer).toBe('decided');
});

test('with everything locked the number of those who wait is bounded', async () => {
  const { accounts, submit } = lockedLedger();
  accounts.set('stuck', theirs);
  const calls = [];
  for (let round = 0; round < 4; round++) {
    calls.push(...Array.from({ length: 100 }, () => submit(pay('stuck'))));
    await pass(110);
  }
  const told = calls.filter(({ answer }) => answer === 'UNAVAILABLE').length;
  expect(told).toBeGreaterThan(0);
  await pass(5_000);
  expect(calls.every(({ answer }) => answer !== '')).toBe(true);
});

test('close waits for those who wait for stuck locks; abandoning ends those whose transaction has not begun', async () => {
  const { accounts, group, submit } = lockedLedger();
  accounts.set('stuck', theirs);
  const first = submit(pay('stuck'));
  await pass(300);
  const second = submit(pay('stuck'));
  await pass(10);
  let closed = false;
  const closing = group.close().then(() => {
    closed = true;
  });
  group.abandonQueue();
  await pass(10);
  expect([first.answer, second.answer, closed]).toEqual(['', 'UNAVAILABLE', false]);
  await pass(1_200);
  await closing;
  expect(first.answer).toBe('UNAVAILABLE');
});
