import { expect, test } from 'vitest';
import type { PaymentCommand } from '../../../src/app/commands.ts';
import type { Outcome } from '../../../src/app/decide-payments.ts';
import { type CurrentPayment, firstBalance } from '../../../src/app/domain/payment-balance.ts';
import { unavailable } from '../../../src/app/errors.ts';
import { ExpirySweeper } from '../../../src/app/expiry-sweeper.ts';

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

/** A sweeper of due holds, of which those in failures fail; released are those that were released, tried all. */
function sweeperOf(paymentIds: readonly string[], failures: Map<string, Error>) {
  const tried: string[] = [];
  const released = new Set<string>();
  const groupCommit = {
    submit(command: PaymentCommand): Promise<Outcome> {
      if (command.kind !== 'EXPIRY') throw new Error('only expiries are submitted');
      const { paymentId } = command.payment;
      tried.push(paymentId);
      const failure = failures.get(paymentId);
      if (failure !== undefined) return Promise.reject(failure);
      released.add(paymentId);
      return Promise.resolve({ kind: 'DECIDED', action: command.payment, balance: undefined });
    },
  };
  const ledger = {
    dueHolds: (limit: number, except: readonly string[]) =>
      Promise.resolve(
        paymentIds
          .filter((id) => !released.has(id) && !except.includes(id))
          .slice(0, limit)
          .map(held),
      ),
  };
  const report = { expired: () => undefined, outage: { failed: () => undefined, succeeded: () => undefined } };
  return { sweeper: new ExpirySweeper(groupCommit, ledger, () => 'id', report), tried, released };
}

const ids = (count: number) => Array.from({ length: count }, (_, n) => `hold-${n}`);

test('a hold whose release is rejected rests for a minute, is told of meanwhile, and is then tried again', async () => {
  const rejected = new Error('violates check constraint');
  const failures = new Map([['hold-1', rejected]]);
  const { sweeper, tried } = sweeperOf(ids(3), failures);
  expect(await sweeper.runOnce(0)).toEqual({ expired: 2, failure: rejected });
  expect(tried).toEqual(['hold-0', 'hold-1', 'hold-2']);

  expect(await sweeper.runOnce(59_999)).toEqual({ expired: 0, failure: rejected });
  expect(tried).toHaveLength(3);

  failures.clear();
  expect(await sweeper.runOnce(60_000)).toEqual({ expired: 1, failure: undefined });
  expect(await sweeper.runOnce(60_001)).toEqual({ expired: 0, failure: undefined });
});

test('a hold that waits for a lock is tried with each sweep', async () => {
  const locked = unavailable('The ledger is locked by another transaction.');
  const { sweeper, tried } = sweeperOf(ids(1), new Map([['hold-0', locked]]));
  for (const nowMs of [0, 1_000]) expect(await sweeper.runOnce(nowMs)).toEqual({ expired: 0, failure: locked });
  expect(tried).toEqual(['hold-0', 'hold-0']);
});

test('as many holds as are released together fail, and those after them are released all the same', async () => {
  const failures = new Map(ids(600).map((id) => [id, new Error('rejected')]));
  const { sweeper, tried, released } = sweeperOf(ids(700), failures);
  expect(await sweeper.runOnce()).toMatchObject({ expired: 100 });
  expect(released.size).toBe(100);
  expect(tried).toHaveLength(700);
});
