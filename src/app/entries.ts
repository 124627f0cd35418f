import { type Balance, postedCents } from './domain/account.ts';
import type { EntryDirection, LedgerEntry } from './domain/ledger.ts';
import type { Action } from './domain/payment.ts';
import type { ActionEntries } from './ports.ts';

/** The ledger entries of an action that was taken, of accounts as it left them. */
export function entriesOf(action: Action, { payer, payee }: { payer: Balance; payee: Balance }): ActionEntries {
  const { amountCents, releasedCents } = action;
  switch (action.kind) {
    case 'PAYMENT':
      return { payer: entry(action, 'DEBIT', payer, amountCents), payee: entry(action, 'CREDIT', payee, amountCents) };
    case 'HOLD':
      return { payer: entry(action, 'HOLD', payer, amountCents), payee: undefined };
    case 'CAPTURE':
      return {
        payer: entry(action, 'DEBIT', payer, amountCents, releasedCents),
        payee: entry(action, 'CREDIT', payee, amountCents, 0n),
      };
    case 'VOID':
    case 'EXPIRY':
      return { payer: entry(action, 'RELEASE', payer, releasedCents), payee: undefined };
    case 'REFUND':
      return { payer: entry(action, 'CREDIT', payer, amountCents), payee: entry(action, 'DEBIT', payee, amountCents) };
  }
}

/** Of what both accounts have posted: zero, or money came from nowhere. */
export function sumOf(entries: ActionEntries | undefined): bigint {
  return entries === undefined ? 0n : postedBy(entries.payer) + postedBy(entries.payee);
}

function postedBy(entry: LedgerEntry | undefined): bigint {
  switch (entry?.direction) {
    case 'DEBIT':
      return -entry.amountCents;
    case 'CREDIT':
      return entry.amountCents;
    default:
      return 0n;
  }
}

function entry(
  { actionId, createdAt }: Action,
  direction: EntryDirection,
  after: Balance,
  amountCents: bigint,
  releasedCents?: bigint,
): LedgerEntry {
  return {
    accountId: after.accountId,
    version: after.version,
    actionId,
    direction,
    amountCents,
    releasedCents,
    balanceAfterCents: postedCents(after),
    pendingAfterCents: after.pendingCents,
    createdAt,
  };
}
