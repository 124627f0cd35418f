import { expect, test } from 'vitest';
import type { PaymentCommand } from '../../../src/app/commands.ts';
import type { Outcome } from '../../../src/app/decide-payments.ts';
import { type CurrentPayment, firstBalance } from '../../../src/app/domain/payment-balance.ts';
import { unavailable } from '../../../src/app/errors.ts';
import { ExpirySweeper } from '../../../src/app/expiry-sweeper.ts';
import type { DueCursor, DueHolds } from '../../../src/app/ports.ts';

const AT = new Date('2026-01-01T00:00:00Z');

function held(paymentId: string): CurrentPayment {
  const payment = {
    actionId: paymentId,
    paymentId,
    kind: 'HOLD',
    payerAccountId: 'payer',
    payeeAccountId: 'payee',
    amountCents: 10n,
    releasedCents: 0n,
    currency: 'RUB',
    description: '',
    createdAt: AT,
    verdict: { status: 'AUTHORIZED', payerVersion: 1n, payeeVersion: undefined },
    expiresAt: AT,
  } as const;
  return { ...payment, balance: firstBalance(payment) };
}

/** A sweeper of due holds, of which those in failures fail, later if that is a promise; released are those that were released, tried all. */
function sweeperOf(paymentIds: readonly string[], failures: Map<string, Error | Promise<never>>) {
  const tried: string[] = [];
  const asked: number[] = [];
  const released = new Set<string>();
  const groupCommit = {
    submit(command: PaymentCommand): Promise<Outcome> {
      if (command.kind !== 'EXPIRY') throw new Error('only expiries are submitted');
      const { paymentId } = command.payment;
      tried.push(paymentId);
      const failure = failures.get(paymentId);
      if (failure !== undefined) return failure instanceof Promise ? failure : Promise.reject(failure);
      released.add(paymentId);
      return Promise.resolve({ kind: 'DECIDED', action: command.payment, balance: undefined });
    },
  };
  const ledger = {
    dueHolds(limit: number, after: DueCursor | undefined, upTo: DueCursor | undefined): Promise<DueHolds> {
      const place = (cursor: DueCursor | undefined, otherwise: number) =>
        cursor === undefined ? otherwise : paymentIds.indexOf(cursor.uuid);
      const first = place(after, -1) + 1;
      asked.push(first);
      const due = paymentIds
        .slice(first, place(upTo, paymentIds.length) + 1)
        .filter((id) => !released.has(id))
        .slice(0, limit);
      const last = due.at(-1);
      return Promise.resolve({
        holds: due.map(held),
        last: last === undefined ? undefined : { expiresAt: '', uuid: last },
        more: due.length === limit,
      });
    },
  };
  const report = { expired: () => undefined, outage: { failed: () => undefined, succeeded: () => undefined } };
  return { sweeper: new ExpirySweeper(groupCommit, ledger, () => 'id', report), tried, released, asked };
}

const ids = (count: number) => Array.from({ length: count }, (_, n) => `hold-${n}`);

test('a hold whose release is rejected rests for a minute, is told of meanwhile, and is then tried again', async () => {
  const rejected = new Error('violates check constraint');
  const failures = new Map([['hold-1', rejected]]);
  const { sweeper, tried } = sweeperOf(ids(3), failures);
  expect(await sweeper.runOnce(0)).toEqual({ expired: 2, failure: rejected });
  expect(tried).toEqual(['hold-0', 'hold-1', 'hold-2']);

  expect(await sweeper.runAgain(59_999)).toEqual({ expired: 0, failure: rejected });
  expect(tried).toHaveLength(3);

  failures.clear();
  expect(await sweeper.runAgain(60_000)).toEqual({ expired: 1, failure: undefined });
  expect(await sweeper.runAgain(60_001)).toEqual({ expired: 0, failure: undefined });
});

test('a hold that waits for a lock is tried again, apart from those that come due', async () => {
  const locked = unavailable('The ledger is locked by another transaction.');
  const failures = new Map([['hold-0', locked]]);
  const paymentIds = ids(1);
  const { sweeper, tried } = sweeperOf(paymentIds, failures);
  expect(await sweeper.runOnce(0)).toEqual({ expired: 0, failure: locked });
  paymentIds.push('hold-1');
  expect(await sweeper.runOnce(1_000)).toEqual({ expired: 1, failure: undefined });
  expect(await sweeper.runAgain(5_000)).toEqual({ expired: 0, failure: locked });
  expect(tried).toEqual(['hold-0', 'hold-1', 'hold-0']);
  failures.clear();
  expect(await sweeper.runAgain(10_000)).toEqual({ expired: 1, failure: undefined });
});

test('no other waits for a hold whose release takes long', async () => {
  let tell: (reason: Error) => void = () => undefined;
  const slow = new Promise<never>((_, reject) => {
    tell = reject;
  });
  const { sweeper, released } = sweeperOf(ids(2_000), new Map([['hold-0', slow]]));
  const sweep = sweeper.runOnce();
  await expect.poll(() => released.size).toBe(1_999);
  tell(unavailable('The ledger is locked by another transaction.'));
  expect(await sweep).toMatchObject({ expired: 1_999, failure: { problem: { kind: 'UNAVAILABLE' } } });
});

test('what has come due since is not looked for among what was passed', async () => {
  const paymentIds = ids(700);
  const { sweeper, asked } = sweeperOf(paymentIds, new Map(paymentIds.map((id) => [id, new Error('rejected')])));
  await sweeper.runOnce();
  asked.length = 0;
  paymentIds.push('hold-700');
  expect(await sweeper.runOnce()).toMatchObject({ expired: 1 });
  expect(asked).toEqual([700]);
});

test('as many holds as are released together fail, and those after them are released all the same', async () => {
  const failures = new Map(ids(600).map((id) => [id, new Error('rejected')]));
  const { sweeper, tried, released } = sweeperOf(ids(700), failures);
  expect(await sweeper.runOnce()).toMatchObject({ expired: 100 });
  expect(released.size).toBe(100);
  expect(tried).toHaveLength(700);
});
