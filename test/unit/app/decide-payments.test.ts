import { expect, test } from 'vitest';
import type { RefundCommand } from '../../../src/app/commands.ts';
import { decidePayments } from '../../../src/app/decide-payments.ts';
import { ContendedError } from '../../../src/app/errors.ts';
import type { LedgerTransaction, UnitOfWork } from '../../../src/app/ports.ts';

const command = {
  kind: 'REFUND',
  actionId: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
  idempotencyKey: 'key',
  caller: '',
  payment: { paymentId: '01ARZ3NDEKTSV4RRFFQ69G5FAA', payerAccountId: 'payer', payeeAccountId: 'payee' },
} as RefundCommand;

test('a transaction ends with the error of the first statement that failed, whichever arrives first', async () => {
  const contended = new ContendedError('a lock was not granted', undefined);
  const transaction = {
    claimKeys: async () => 1,
    lockPayments: () => new Promise((_, reject) => setImmediate(() => reject(contended))),
    lockBalances: () => Promise.reject(new Error('current transaction is aborted')),
  } as unknown as LedgerTransaction;
  const unitOfWork = { run: (work: (transaction: LedgerTransaction) => unknown) => work(transaction) };

  const decided = decidePayments(unitOfWork as unknown as UnitOfWork, [command], new Date(), {
    lockWaitMs: 100,
    deadlineMs: Number.POSITIVE_INFINITY,
  });
  await expect(decided).rejects.toBe(contended);
});
