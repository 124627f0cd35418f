import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { paymentServices } from '../../../src/api/payment-services.ts';
import { Admission } from '../../../src/app/admission.ts';
import type { PaymentCommand } from '../../../src/app/commands.ts';
import type { Outcome } from '../../../src/app/decide-payments.ts';
import type { GroupCommit } from '../../../src/app/group-commit.ts';
import { Outage } from '../../../src/app/outage.ts';
import type { Ledger } from '../../../src/app/ports.ts';

test('a flood of reads turns away reads, and neither captures nor voids', async () => {
  const nothing = () => undefined;
  const { payments, laterActions } = paymentServices(
    {} as GroupCommit<PaymentCommand, Outcome>,
    { take: () => Promise.resolve(0), takeAll: () => Promise.resolve(undefined) },
    { findFirstAction: () => Promise.resolve(undefined) } as unknown as Ledger,
    {
      reads: new Admission({ maxInFlight: 0, maxQueue: 0 }),
      actions: new Admission({ maxInFlight: 2, maxQueue: 0 }),
    },
    new Registry(),
    new Outage({ began: nothing, ended: nothing }),
  );
  const paymentId = '01KAV000000000000000000000';
  const asked = { paymentId, permit: nothing, abandoned: () => false, deadlineMs: Number.POSITIVE_INFINITY };
  const call = { idempotencyKey: 'key', caller: '', description: '', mayPayFromExternal: true };

  await expect(payments.findPayment(paymentId, asked.abandoned)).rejects.toMatchObject({
    problem: { kind: 'OVERLOADED' },
  });
  const capture = { kind: 'CAPTURE', ...call, requestedCents: undefined, keepRemainder: false } as const;
  for (const looking of [laterActions.capture(capture, asked), laterActions.void({ kind: 'VOID', ...call }, asked)]) {
    await expect(looking).rejects.toMatchObject({ problem: { kind: 'NOT_FOUND' } });
  }
});
