import type { GroupTransaction } from './batch-runner.ts';
import { differingFields, type IdentityField, type Payment } from './domain/payment.ts';
import { TransientError } from './errors.ts';
import { keyOf, LedgerDraft } from './ledger-draft.ts';
import type { AuthorizeCommand, KeyHolder, OutboxHint, TimeLimits, UnitOfWork } from './ports.ts';

/** What became of a command. */
export type Outcome =
  /** Decided now and committed, authorized or declined. */
  | { readonly kind: 'DECIDED'; readonly payment: Payment }
  /** The key had been used for this same payment, the original. */
  | { readonly kind: 'DUPLICATE'; readonly payment: Payment }
  /** The key had been used for another payment, which differs in these fields. */
  | { readonly kind: 'KEY_REUSED'; readonly payment: Payment; readonly differing: readonly IdentityField[] };

/** Authorizing payments, as GroupCommit runs it. Tells the relay when payments were decided. */
export function paymentTransaction(
  unitOfWork: UnitOfWork,
  outboxHint: OutboxHint,
): GroupTransaction<AuthorizeCommand, Outcome> {
  return {
    async execute(commands, limits) {
      const outcomes = await authorizePayments(unitOfWork, commands, new Date(), limits);
      if (outcomes.some(({ kind }) => kind === 'DECIDED')) outboxHint.committed();
      return outcomes;
    },
    locksOf: ({ payerAccountId, payeeAccountId, caller, idempotencyKey }) => [
      { name: `account ${payerAccountId}`, accountId: payerAccountId },
      { name: `account ${payeeAccountId}`, accountId: payeeAccountId },
      { name: `key ${keyOf({ caller, idempotencyKey })}`, caller, idempotencyKey },
    ],
    keptLocks: (locks) => unitOfWork.keptLocks(locks),
  };
}

/**
 * Authorizes prechecked commands in one transaction: for each, the payment, its
 * ledger entries, both balances, its key and its event commit together, or it is
 * declined, or its key was used before. Outcomes come in the order of the commands.
 *
 * Locks the keys, then the balances, each in sorted order, so two transactions
 * never wait for each other in a circle. Errors are those of UnitOfWork.run, and
 * ExternalPayerError if a caller may not pay from the EXTERNAL account it names; then
 * nothing of the batch is stored.
 */
export function authorizePayments(
  unitOfWork: UnitOfWork,
  commands: readonly AuthorizeCommand[],
  now: Date,
  limits: TimeLimits,
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
      draft.checkPayer(command);
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
  }, limits);
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
