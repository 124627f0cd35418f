import { AccountEntryType } from '../../../src/gen/payment/v1/account.ts';
import type { PaymentAction } from '../../../src/gen/payment/v1/payment.ts';
import type { Account } from './books.ts';

/** Moves the amount of the action. */
export function move(debited: Account, credited: Account, action: PaymentAction): void {
  debited.postedCents -= action.amountCents;
  credited.postedCents += action.amountCents;
  addEntry(debited, AccountEntryType.ACCOUNT_ENTRY_TYPE_DEBIT, action, credited);
  addEntry(credited, AccountEntryType.ACCOUNT_ENTRY_TYPE_CREDIT, action, debited);
}

/** To an account as the action leaves it. */
export function addEntry(account: Account, type: AccountEntryType, action: PaymentAction, other: Account): void {
  const { actionId, paymentId, amountCents, releasedCents, createdAt } = action;
  const before = account.entries.at(-1);
  if (before !== undefined && createdAt < before.createdAt) {
    throw new Error(`${actionId} was decided at ${createdAt}, before the last entry of ${account.accountId}`);
  }
  const isRelease = type === AccountEntryType.ACCOUNT_ENTRY_TYPE_RELEASE;
  const isDebit = type === AccountEntryType.ACCOUNT_ENTRY_TYPE_DEBIT;
  account.entries.push({
    version: BigInt(account.entries.length + 1),
    type,
    amountCents: isRelease ? releasedCents : amountCents,
    releasedCents: isDebit ? releasedCents : 0n,
    postedAfterCents: account.postedCents,
    pendingAfterCents: account.pendingCents,
    actionId,
    paymentId,
    counterpartyAccountId: other.accountId,
    createdAt,
  });
}
