import type { FirstCommand, LaterCommand } from './commands.ts';
import type { Action, Payment, Verdict } from './domain/payment.ts';

/** What of an action on a payment the decision on it says. */
export type Decided = 'amountCents' | 'releasedCents' | 'verdict';

/** The payment that comes of a command, decided at that time. */
export function paymentOf(command: FirstCommand, at: Date, verdict: Verdict): Payment {
  const { kind, actionId, payerAccountId, payeeAccountId, amountCents, currency } = command;
  return {
    actionId,
    paymentId: actionId,
    kind,
    payerAccountId,
    payeeAccountId,
    amountCents,
    releasedCents: 0n,
    currency,
    description: command.description,
    reference: command.reference,
    metadata: command.metadata,
    createdAt: at,
    verdict,
    expiresAt: kind === 'HOLD' ? new Date(at.getTime() + command.ttlMs) : undefined,
    batch: command.batch,
  };
}

/** The action on a payment that comes of a command, but for what the decision says. */
export function actionOf(command: Exclude<LaterCommand, { kind: 'EXPIRY' }>, at: Date): Omit<Action, Decided> {
  const { payment, actionId, kind, description, reference, metadata, batch } = command;
  return {
    ...partiesOf(payment),
    actionId,
    kind,
    description,
    reference,
    metadata,
    createdAt: at,
    requestedCents: kind === 'VOID' ? undefined : command.requestedCents,
    keepRemainder: kind === 'CAPTURE' ? command.keepRemainder : undefined,
    batch,
  };
}

/** The same for the service's own command. */
export function expiryOf({ payment, expiryId }: LaterCommand, at: Date): Omit<Action, Decided> {
  return { ...partiesOf(payment), actionId: expiryId, kind: 'EXPIRY', description: '', createdAt: at };
}

function partiesOf({ paymentId, payerAccountId, payeeAccountId, currency }: Payment) {
  return { paymentId, payerAccountId, payeeAccountId, currency };
}
