import type { StatementEntry } from '../../app/listings.ts';
import type { Reads } from '../../app/reads.ts';
import {
  type AccountEntry,
  AccountEntryOrder,
  AccountEntryType,
  ListAccountEntriesRequest,
  type ListAccountEntriesResponse,
} from '../../gen/payment/v1/account.ts';
import { requireAccount } from '../access/accounts.ts';
import { checkListAccountEntries, pageSize } from '../list-validation.ts';
import { type ListedBy, pageToken, readPageToken } from '../page-token.ts';
import type { Rpc } from '../rpc.ts';
import { firstMillisecondFrom } from '../time.ts';

export function listAccountEntries(
  reads: Pick<Reads, 'entries'>,
): Rpc<ListAccountEntriesRequest, ListAccountEntriesResponse> {
  return {
    request: ListAccountEntriesRequest,
    scope: 'payments.read',
    async handle(request, call) {
      checkListAccountEntries(request);
      requireAccount(call.caller, request.accountId);
      const { accountId, createdFrom, createdBefore, versionFrom, versionBefore } = request;
      const oldestFirst = request.order === AccountEntryOrder.ACCOUNT_ENTRY_ORDER_OLDEST_FIRST;
      const order = oldestFirst ? 'OLDEST_FIRST' : 'NEWEST_FIRST';
      const listedBy: ListedBy = {
        list: 'ListAccountEntries',
        filters: [accountId, order, createdFrom, createdBefore, versionFrom, versionBefore],
      };
      const from = readPageToken(request.pageToken, listedBy, toVersion);
      const range = {
        accountId,
        order,
        createdFrom: firstMillisecondFrom(createdFrom),
        createdBefore: firstMillisecondFrom(createdBefore),
        versionFrom,
        versionBefore: versionBefore || undefined,
      } as const;
      const page = await reads.entries(range, from, pageSize(request.pageSize), () => call.abandoned());
      return { entries: page.items.map(toMessage), nextPageToken: pageToken(listedBy, page.next?.toString()) };
    },
  };
}

function toVersion(text: string): bigint | undefined {
  return /^[1-9]\d{0,17}$/.test(text) ? BigInt(text) : undefined;
}

function toMessage(entry: StatementEntry): AccountEntry {
  const { version, direction, amountCents, actionId, paymentId, counterpartyAccountId, createdAt } = entry;
  return {
    version,
    type: AccountEntryType[`ACCOUNT_ENTRY_TYPE_${direction}`],
    amountCents,
    releasedCents: entry.releasedCents ?? 0n,
    postedAfterCents: entry.balanceAfterCents,
    pendingAfterCents: entry.pendingAfterCents,
    actionId,
    paymentId,
    counterpartyAccountId,
    createdAt: createdAt.toISOString(),
  };
}
