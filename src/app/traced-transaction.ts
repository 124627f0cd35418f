import type { GroupTransaction } from './batch-runner.ts';
import type { PaymentCommand } from './commands.ts';
import type { Outcome } from './decide-payments.ts';
import { failedWith, isSampled, type Span, type Tracer } from './tracing.ts';

type PaymentTransaction = GroupTransaction<PaymentCommand, Outcome>;

/**
 * The same transaction with a span for each sampled call in it, in the call's own trace.
 * As many calls share one transaction, all spans but the first have a link to the first.
 */
export function tracedTransaction(transaction: PaymentTransaction, tracer: Tracer): PaymentTransaction {
  return {
    ...transaction,
    async execute(commands, limits) {
      const spans = startSpans(tracer, commands);
      if (spans.size === 0) return transaction.execute(commands, limits);
      try {
        const outcomes = await transaction.execute(commands, limits);
        for (const [index, span] of spans) {
          const { kind, action } = outcomes[index]!;
          span.end({
            attributes: {
              'payment_ledger.outcome': kind,
              ...(action && { 'payment_ledger.payment.id': action.paymentId }),
            },
          });
        }
        return outcomes;
      } catch (error) {
        for (const span of spans.values()) span.end(failedWith(error));
        throw error;
      }
    },
  };
}

/** By the command's place in the batch. */
function startSpans(tracer: Tracer, commands: readonly PaymentCommand[]): Map<number, Span> {
  const spans = new Map<number, Span>();
  let first: Span | undefined;
  for (const [index, { traceparent }] of commands.entries()) {
    if (!isSampled(traceparent)) continue;
    const span = tracer.start({
      name: 'payment transaction',
      kind: 'CLIENT',
      parent: traceparent,
      link: first?.traceparent,
      attributes: { 'db.system.name': 'postgresql', 'db.operation.batch.size': commands.length },
    });
    if (span === undefined) continue;
    first ??= span;
    spans.set(index, span);
  }
  return spans;
}
