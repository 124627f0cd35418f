import { differingFields, type IdentityField, type Payment } from './domain/payment.ts';
import { ContendedError, TransientError } from './errors.ts';
import { keyOf, LedgerDraft } from './ledger-draft.ts';
import type { AuthorizeCommand, KeyHolder, UnitOfWork } from './ports.ts';

/** What became of a command. */
export type Outcome =
  /** Decided now and committed, authorized or declined. */
  | { readonly kind: 'DECIDED'; readonly payment: Payment }
  /** The key had been used for this same payment, the original. */
  | { readonly kind: 'DUPLICATE'; readonly payment: Payment }
  /** The key had been used for another payment, which differs in these fields. */
  | { readonly kind: 'KEY_REUSED'; readonly payment: Payment; readonly differing: readonly IdentityField[] }
  /** An account is kept locked by a transaction that does not end; nothing was stored. */
  | { readonly kind: 'LOCKED'; readonly accountId: string };

/**
 * Authorizes screened commands in one transaction: for each, the payment, its
 * ledger entries, both balances, its key and its event commit together, or it is
 * declined, or its key was used before. Outcomes come in the order of the commands.
 *
 * If a lock cannot be had, the commands whose accounts are locked are told so, and
 * the others get a transaction without them: one stuck account must not hold up the
 * rest. Errors are those of UnitOfWork.run.
 */
export async function authorizePayments(
  unitOfWork: UnitOfWork,
  commands: readonly AuthorizeCommand[],
  now: Date,
): Promise<Outcome[]> {
  try {
    return await authorizeTogether(unitOfWork, commands, now);
  } catch (error) {
    if (!(error instanceof ContendedError)) throw error;
    const locked = await unitOfWork.lockedAccounts(accountsOf(commands));
    // It was a key, or the lock has gone meanwhile.
    if (locked.size === 0) throw error;
    return authorizeWithout(locked, unitOfWork, commands, now);
  }
}

async function authorizeWithout(
  locked: ReadonlySet<string>,
  unitOfWork: UnitOfWork,
  commands: readonly AuthorizeCommand[],
  now: Date,
): Promise<Outcome[]> {
  const lockedBy = (command: AuthorizeCommand) =>
    [command.payerAccountId, command.payeeAccountId].find((accountId) => locked.has(accountId));
  const free = commands.filter((command) => lockedBy(command) === undefined);
  const outcomes = free.length > 0 ? await authorizeTogether(unitOfWork, free, now) : [];
  return commands.map((command) => {
    const accountId = lockedBy(command);
    return accountId === undefined ? outcomes.shift()! : { kind: 'LOCKED', accountId };
  });
}

/**
 * Locks the keys, then the balances, each in sorted order, so two transactions
 * never wait for each other in a circle. Errors are those of UnitOfWork.run.
 */
function authorizeTogether(
  unitOfWork: UnitOfWork,
  commands: readonly AuthorizeCommand[],
  now: Date,
): Promise<Outcome[]> {
  return unitOfWork.run(async (transaction) => {
    const [claimed, balances] = await Promise.all([
      transaction.claimKeys(commands, now),
      transaction.lockBalances(accountsOf(commands)),
    ]);
    // Most batches have new keys only, and then there is nobody to ask for.
    const holders = claimed < commands.length ? await transaction.findKeyHolders(commands) : undefined;

    const draft = new LedgerDraft(balances, now);
    const decided = new Map<string, Payment>();
    const outcomes = commands.map((command): Outcome => {
      const holder = holders?.get(keyOf(command));
      if (holders === undefined || claimedBy(command, holder)) {
        const payment = draft.decide(command);
        if (holders !== undefined) decided.set(payment.paymentId, payment);
        return { kind: 'DECIDED', payment };
      }
      // The key expired between the claim and the look-up: it is free again.
      if (holder === undefined) throw new TransientError(`Idempotency key ${command.idempotencyKey} has just expired`);
      return replay(command, holder.payment ?? decided.get(holder.paymentId));
    });

    return { result: outcomes, changes: claimed > 0 ? draft.changes() : undefined };
  });
}

/** Whether the key was claimed for this command, in this transaction. */
function claimedBy({ paymentId }: AuthorizeCommand, holder: KeyHolder | undefined): boolean {
  return holder !== undefined && holder.payment === undefined && holder.paymentId === paymentId;
}

function replay(command: AuthorizeCommand, original: Payment | undefined): Outcome {
  if (original === undefined) throw new Error(`Bug! Idempotency key ${command.idempotencyKey} leads to no payment`);

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
