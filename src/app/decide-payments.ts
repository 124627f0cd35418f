import type { GroupTransaction } from './batch-runner.ts';
import {
  accountsOf,
  isKeyed,
  isLater,
  type KeyedCommand,
  keyOf,
  mayBegin,
  type PaymentCommand,
  singleCommands,
} from './commands.ts';
import { type BatchedAction, decideBatch } from './decide-batch.ts';
import { differingFields, differingInBatch } from './domain/identity.ts';
import type { Action } from './domain/payment.ts';
import type { PaymentBalance } from './domain/payment-balance.ts';
import { TransientError } from './errors.ts';
import { LedgerDraft } from './ledger-draft.ts';
import type { KeyHolder, Lock, OutboxHint, TimeLimits, UnitOfWork } from './ports.ts';

/** What became of a command. */
export type Outcome =
  /**
   * DECIDED now and committed, authorized or declined, or DUPLICATE: the key had been used for this same request, and
   * here is the original. The balance is that of the action's payment as it is now, if it has one of its own. Of a
   * batch it is the action with its id; items are what was decided, and undefined if that was known by the key alone.
   */
  | {
      readonly kind: 'DECIDED' | 'DUPLICATE';
      readonly action: Action;
      readonly balance: PaymentBalance | undefined;
      readonly items?: readonly BatchedAction[];
    }
  /** The key had been used for another request, which differs in these fields. */
  | { readonly kind: 'KEY_REUSED'; readonly action: Action; readonly differing: readonly string[] }
  /** There was nothing to expire. */
  | { readonly kind: 'NOTHING'; readonly action?: never };

/** Deciding on payments, as GroupCommit runs it. Tells the relay when something was decided. */
export function paymentTransaction(
  unitOfWork: UnitOfWork,
  outboxHint: OutboxHint,
): GroupTransaction<PaymentCommand, Outcome> {
  return {
    async execute(commands, limits) {
      const outcomes = await decidePayments(unitOfWork, commands, new Date(), limits);
      if (outcomes.some(({ kind }) => kind === 'DECIDED')) outboxHint.committed();
      return outcomes;
    },
    locksOf,
    weightOf,
    keptLocks: (locks) => unitOfWork.keptLocks(locks),
  };
}

function locksOf(command: PaymentCommand): Lock[] {
  const locks: Lock[] = singleCommands([command]).flatMap((single) => {
    const ofAccounts = accountsOf(single).map((accountId): Lock => ({ name: `account ${accountId}`, accountId }));
    if (!isLater(single)) return ofAccounts;
    const { paymentId } = single.payment;
    return [...ofAccounts, { name: `payment ${paymentId}`, paymentId }];
  });
  if (isKeyed(command)) {
    const { caller, idempotencyKey } = command;
    locks.push({ name: `key ${keyOf(command)}`, caller, idempotencyKey });
  }
  return locks;
}

function weightOf(command: PaymentCommand): number {
  return command.kind === 'BATCH' ? command.items.length : 1;
}

/**
 * Decides prechecked commands in one transaction: for each, the action, its ledger
 * entries, all balances, its key and its event commit together, or it is declined, or
 * its key was used before. Outcomes come in the order of the commands. They are decided
 * at the time that the locks tell; where no account exists, now.
 *
 * Locks the keys, then the payments, then the accounts, each in sorted order, so two
 * transactions never wait for each other in a circle. Errors are those of
 * UnitOfWork.run, and ExternalPayerError if a caller may not pay from the EXTERNAL
 * account it names; then nothing of the batch is stored.
 */
export function decidePayments(
  unitOfWork: UnitOfWork,
  commands: readonly PaymentCommand[],
  now: Date,
  limits: TimeLimits,
): Promise<Outcome[]> {
  const keyed = commands.filter(isKeyed);
  const singles = singleCommands(commands);
  const later = singles.filter(isLater);
  const paymentIds = [...new Set(later.map(({ payment }) => payment.paymentId))];
  const begunIds = [...new Set(later.filter(mayBegin).map(({ payment }) => payment.paymentId))];
  const accountIds = [...new Set(singles.flatMap(accountsOf))];

  return unitOfWork.run(async (transaction) => {
    const [claimed, payments, locked] = await allInOrder([
      keyed.length > 0 ? transaction.claimKeys(keyed, now) : 0,
      paymentIds.length > 0 ? transaction.lockPayments(paymentIds, begunIds) : NO_PAYMENTS,
      transaction.lockBalances(accountIds),
    ]);
    // Most batches have new keys only, and then there is nobody to ask for.
    const holders = claimed < keyed.length ? await transaction.findKeyHolders(keyed) : undefined;

    const draft = new LedgerDraft(locked.balances, payments, locked.at ?? now);
    for (const single of singles) draft.checkPayer(single);
    const decided = new Map<string, Action>();
    const outcomes = commands.map((command): Outcome => {
      const holder = isKeyed(command) ? holders?.get(keyOf(command)) : undefined;
      if (holders === undefined || !isKeyed(command) || claimedBy(command, holder)) {
        const outcome = decide(draft, command);
        if (holders !== undefined && outcome.action !== undefined) decided.set(outcome.action.actionId, outcome.action);
        return outcome;
      }
      // The key expired between the claim and the look-up: it is free again.
      if (holder === undefined) throw new TransientError(`Idempotency key ${command.idempotencyKey} has just expired`);
      return replay(command, holder, decided, draft);
    });

    const changes = draft.changes();
    return { result: outcomes, changes: changes.decided.length > 0 ? changes : undefined };
  }, limits);
}

function decide(draft: LedgerDraft, command: PaymentCommand): Outcome {
  if (command.kind === 'BATCH') {
    const { action, items } = decideBatch(draft, command);
    return { kind: 'DECIDED', action, balance: draft.balanceOf(action.paymentId), items };
  }
  const action = draft.decide(command);
  if (action === undefined) return { kind: 'NOTHING' };
  return { kind: 'DECIDED', action, balance: draft.balanceOf(action.paymentId) };
}

/**
 * Statements that were sent in this order. Where one fails, all after it do too, with an error that says nothing, and
 * it may be theirs that arrives first: the first one's is the cause.
 */
async function allInOrder<Results extends readonly unknown[]>(statements: [...Results]) {
  await Promise.allSettled(statements);
  return Promise.all(statements);
}

const NO_PAYMENTS: ReadonlyMap<string, PaymentBalance> = new Map();

/** Whether the key was claimed for this command, in this transaction. */
function claimedBy({ actionId }: KeyedCommand, holder: KeyHolder | undefined): boolean {
  return holder !== undefined && holder.action === undefined && holder.actionId === actionId;
}

function replay(
  command: KeyedCommand,
  holder: KeyHolder,
  decided: ReadonlyMap<string, Action>,
  draft: LedgerDraft,
): Outcome {
  const original = holder.action ?? decided.get(holder.actionId);
  if (original === undefined) throw new Error(`Bug! Idempotency key ${command.idempotencyKey} leads to no action`);
  const balance = draft.balanceOf(original.paymentId) ?? holder.balance;

  // Our own action: the transaction had committed, though we lost the connection before we knew.
  if (original.actionId === command.actionId) return { kind: 'DECIDED', action: original, balance };

  const differing = command.kind === 'BATCH' ? differingInBatch(command, original) : differingFields(command, original);
  return differing.length === 0
    ? { kind: 'DUPLICATE', action: original, balance }
    : { kind: 'KEY_REUSED', action: original, differing };
}
