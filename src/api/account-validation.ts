import type { Metadata } from '../app/domain/payment.ts';
import type { FieldViolation } from '../app/errors.ts';
import type { UpdateAccountRequest } from '../gen/payment/v1/account.ts';
import { accountId, metadata, notNegative, rejectIf, text } from './validation.ts';

// As validation.ts, for changes of accounts.

export function checkAccountChange(request: { accountId: string; reason: string; etag: string }): void {
  rejectIf(accountId('account_id', request.accountId), reason(request.reason), etag('etag', request.etag));
}

/** What may be updated, by its name in an update_mask. */
const PATHS: readonly string[] = ['overdraft_limit_cents', 'metadata'];

/** What is asked for: what the mask leaves out is undefined. */
export function checkUpdateAccount({ account, updateMask = [], reason: why }: UpdateAccountRequest): {
  readonly accountId: string;
  readonly etag: string;
  readonly overdraftLimitCents: bigint | undefined;
  readonly metadata: Metadata | undefined;
} {
  const paths = updateMask.includes('*') ? PATHS : updateMask;
  const [limitCents, notes] = [account?.overdraftLimitCents ?? 0n, account?.metadata ?? {}];
  const [changesLimit, changesNotes] = PATHS.map((path) => paths.includes(path));
  rejectIf(
    accountId('account.account_id', account?.accountId ?? ''),
    etag('account.etag', account?.etag ?? ''),
    mask('update_mask', paths),
    changesLimit ? notNegative('account.overdraft_limit_cents', limitCents) : undefined,
    changesNotes ? metadata('account.metadata', notes) : undefined,
    reason(why),
  );
  return {
    accountId: account!.accountId,
    etag: account!.etag,
    overdraftLimitCents: changesLimit ? limitCents : undefined,
    metadata: changesNotes ? notes : undefined,
  };
}

function mask(field: string, paths: readonly string[]): FieldViolation | undefined {
  if (paths.length === 0) return { field, description: `must name what to change: ${PATHS.join(', ')}, or *` };
  const unknown = paths.find((path) => !PATHS.includes(path));
  return unknown === undefined
    ? undefined
    : { field, description: `has a path that cannot be changed; these can: ${PATHS.join(', ')}` };
}

function reason(value: string): FieldViolation | undefined {
  return text('reason', value, 0, 1_000);
}

function etag(field: string, value: string): FieldViolation | undefined {
  return text(field, value, 0, 64);
}
