import { differingFields, type IdentityField, type Payment } from './domain/payment.ts';
import { TransientError } from './errors.ts';
import { keyOf, LedgerDraft } from './ledger-draft.ts';
import type { AuthorizeCommand, UnitOfWork } from './ports.ts';

/** What became of a command. */
export type Outcome =
  /** Decided now and committed, authorized or declined. */
  | { readonly kind: 'DECIDED'; readonly payment: Payment }
  /** The key had been used for this same payment, the original. */
  | { readonly kind: 'DUPLICATE'; readonly payment: Payment }
  /** The key had been used for another payment, which differs in these fields. */
  | { readonly kind: 'KEY_REUSED'; readonly payment: Payment; readonly differing: readonly IdentityField[] };

/**
 * Authorizes screened commands in one transaction: for each, the payment, its
 * ledger entries, both balances, its key and its event commit together, or it is
 * declined, or its key was used before. Outcomes come in the order of the commands.
 *
 * Locks the keys, then the balances, each in sorted order, so two transactions
 * never wait for each other in a circle. Errors are those of UnitOfWork.run.
 */
export function authorizePayments(
  unitOfWork: UnitOfWork,
  commands: readonly AuthorizeCommand[],
  now: Date,
): Promise<Outcome[]> {
  return unitOfWork.run(async (transaction) => {
    const [claimed, balances] = await Promise.all([
      transaction.claimKeys(commands, now),
      transaction.lockBalances(accountsOf(commands)),
    ]);

    const owners = new Set(commands.filter(({ paymentId }) => claimed.has(paymentId)).map(keyOf));
    const usedBefore = commands.filter((command) => !owners.has(keyOf(command)));
    const originals = new Map(usedBefore.length > 0 ? await transaction.findByKey(usedBefore) : []);

    const draft = new LedgerDraft(balances, now);
    const outcomes = commands.map((command): Outcome => {
      if (!claimed.has(command.paymentId)) return replay(command, originals.get(keyOf(command)));
      const payment = draft.decide(command);
      originals.set(keyOf(command), payment);
      return { kind: 'DECIDED', payment };
    });

    if (claimed.size > 0) await transaction.record(draft.changes());
    return outcomes;
  });
}

function replay(command: AuthorizeCommand, original: Payment | undefined): Outcome {
  // The key expired between the claim and the look-up: it is free again.
  if (original === undefined) throw new TransientError(`Idempotency key ${command.idempotencyKey} has just expired`);

  // Our own payment: the transaction had committed, though we lost the connection before we knew.
  if (original.paymentId === command.paymentId) return { kind: 'DECIDED', payment: original };

  const differing = differingFields(command, original);
  return differing.length === 0
    ? { kind: 'DUPLICATE', payment: original }
    : { kind: 'KEY_REUSED', payment: original, differing };
}

function accountsOf(commands: readonly AuthorizeCommand[]): string[] {
  return [...new Set(commands.flatMap((command) => [command.payerAccountId, command.payeeAccountId]))];
}
