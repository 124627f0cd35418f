import { describe, expect, test } from 'vitest';
import type { GroupTransaction } from '../../../src/app/batch-runner.ts';
import type { AuthorizeCommand, KeyedCommand, PaymentCommand } from '../../../src/app/commands.ts';
import type { Outcome } from '../../../src/app/decide-payments.ts';
import { TransientError } from '../../../src/app/errors.ts';
import { tracedTransaction } from '../../../src/app/traced-transaction.ts';
import { isSampled } from '../../../src/app/tracing.ts';
import { recordingTracer, traceparent } from '../../support/recording-tracer.ts';

type Transaction = GroupTransaction<PaymentCommand, Outcome>;

function command(paymentId: string, context: string | undefined): AuthorizeCommand {
  return { actionId: paymentId, traceparent: context } as AuthorizeCommand;
}

function transaction(execute: Transaction['execute']): Transaction {
  return { execute } as Transaction;
}

const decideAll = transaction(async (commands) =>
  (commands as KeyedCommand[]).map(({ actionId }) => ({ kind: 'DECIDED', action: { paymentId: actionId } }) as Outcome),
);

describe('the spans of a transaction', () => {
  test('each sampled call has one in its own trace, with its own payment, and all but the first a link', async () => {
    const tracer = recordingTracer();
    const calls = [
      command('A', undefined),
      command('B', traceparent(1)),
      command('C', traceparent(2, '00')),
      command('D', traceparent(3)),
    ];
    const outcomes = await tracedTransaction(decideAll, tracer).execute(calls, 100 as never);
    expect(outcomes).toHaveLength(4);
    const [first, second] = tracer.spans;
    expect(tracer.spans.map(({ parent }) => parent)).toEqual([traceparent(1), traceparent(3)]);
    expect(first!.link).toBeUndefined();
    expect(second!.link).toBe(first!.traceparent);
    expect(tracer.spans.map(({ outcome }) => outcome?.attributes?.['payment_ledger.payment.id'])).toEqual(['B', 'D']);
    expect(first!.attributes['db.operation.batch.size']).toBe(4);
  });

  test('without a sampled call there is none', async () => {
    const tracer = recordingTracer();
    await tracedTransaction(decideAll, tracer).execute([command('A', traceparent(1, '00'))], 100 as never);
    expect(tracer.spans).toEqual([]);
  });

  test('a transaction that fails ends them, with the kind of error and without its message', async () => {
    const tracer = recordingTracer();
    const failing = transaction(async () => {
      throw new TransientError('Idempotency key key-unseen has just expired');
    });
    const calls = [command('A', traceparent(1)), command('B', traceparent(2))];
    await expect(tracedTransaction(failing, tracer).execute(calls, 100 as never)).rejects.toThrow(TransientError);
    for (const { outcome } of tracer.spans) {
      expect(outcome).toEqual({ failed: true, attributes: { 'error.type': 'TransientError' } });
    }
    expect(tracer.spans).toHaveLength(2);
  });
});

describe('isSampled', () => {
  test.each([
    ['01', true],
    ['00', false],
    ['03', true],
    ['02', false],
    ['0b', true],
    ['0a', false],
  ])('trace flags %s: %s', (flags, expected) => {
    expect(isSampled(traceparent(1, flags))).toBe(expected);
  });

  test('without trace context: false', () => {
    expect(isSampled(undefined)).toBe(false);
    expect(isSampled('')).toBe(false);
  });
});
