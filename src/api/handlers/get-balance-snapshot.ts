import type { Reads } from '../../app/reads.ts';
import { GetBalanceSnapshotRequest, type GetBalanceSnapshotResponse } from '../../gen/payment/v1/account.ts';
import { requireAccount } from '../access/accounts.ts';
import { checkGetBalanceSnapshot } from '../list-validation.ts';
import type { Rpc } from '../rpc.ts';
import { millisecondOf } from '../time.ts';

export function getBalanceSnapshot(
  reads: Pick<Reads, 'snapshot'>,
): Rpc<GetBalanceSnapshotRequest, GetBalanceSnapshotResponse> {
  return {
    request: GetBalanceSnapshotRequest,
    scope: 'payments.read',
    async handle(request, call) {
      checkGetBalanceSnapshot(request);
      requireAccount(call.caller, request.accountId);
      const { accountId, at, version } = request;
      const point = version === undefined ? { at: millisecondOf(at!) } : { version };
      const snapshot = await reads.snapshot(accountId, point, () => call.abandoned());
      return {
        accountId,
        availableBalanceCents: snapshot.balanceCents - snapshot.pendingCents,
        pendingBalanceCents: snapshot.pendingCents,
        postedBalanceCents: snapshot.balanceCents,
        currency: snapshot.currency,
        version: snapshot.version,
        lastEntryAt: snapshot.entryAt?.toISOString() ?? '',
      };
    },
  };
}
