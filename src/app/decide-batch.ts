import { accountsOf, type BatchCommand, isLater } from './commands.ts';
import type { Action, Payment } from './domain/payment.ts';
import { type CurrentPayment, firstBalance } from './domain/payment-balance.ts';
import type { LedgerDraft } from './ledger-draft.ts';

/** What an item of a batch did, and its payment as it is now. */
export interface BatchedAction {
  readonly action: Action;
  readonly payment: CurrentPayment;
}

export interface DecidedBatch {
  /** The one with the batch's id: that of the first item, or of the one that declined the batch. */
  readonly action: Action;
  /** In the order of the items; none if the batch was declined. */
  readonly items: readonly BatchedAction[];
}

/**
 * Decides a batch: all of its items, in their order, each on what the ones before left; or, if one of them is
 * declined, that one alone, with the books as they were.
 */
export function decideBatch(draft: LedgerDraft, command: BatchCommand): DecidedBatch {
  const { items, actionId: batchId, digest } = command;
  // What is due is over, whatever becomes of the batch: whether the sweeper has come by makes no difference.
  for (const item of items) {
    if (isLater(item)) draft.decide({ kind: 'EXPIRY', payment: item.payment, expiryId: item.expiryId });
  }
  const branch = draft.branch(
    new Set(items.flatMap(accountsOf)),
    new Set(items.flatMap((item) => (isLater(item) ? [item.payment.paymentId] : []))),
  );
  const actions: Action[] = [];
  for (const [index, item] of items.entries()) {
    // Only the service's own command can come to nothing.
    const action = branch.decide(item)!;
    actions.push(action);
    if (action.verdict.status === 'AUTHORIZED') continue;

    const declined = {
      ...action,
      actionId: batchId,
      paymentId: isLater(item) ? action.paymentId : batchId,
      batch: { batchId, item: index, whole: { digest } },
    };
    return { action: draft.decline(declined, action.verdict.decline, item.traceparent), items: [] };
  }
  draft.merge(branch);

  const batched = items.map((item, index): BatchedAction => {
    const action = actions[index]!;
    const payment = isLater(item) ? item.payment : (action as Payment);
    return { action, payment: { ...payment, balance: draft.balanceOf(payment.paymentId) ?? firstBalance(payment) } };
  });
  return { action: actions[0]!, items: batched };
}
