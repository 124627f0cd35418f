import type { Lock, LockHolder } from '../../../app/ports.ts';
import { ulidToUuid } from '../../../app/ulid.ts';
import { plainArray, textArray } from '../array.ts';
import { prepared, type Transaction } from '../statement.ts';

// What can be locked here is free. Of the rest, the transaction that keeps a row locked
// is in the row's xmax, and the process that runs it has a lock on its own id.
const keptBalances = prepared<{ account_id: string; holder: string; ours: boolean }>(
  'kept_balances',
  `with free as materialized (
     select account_id from account_balances where account_id = any($1::text[]) for no key update skip locked
   )
   select account_id, balance.xmax::text as holder, coalesce(own_id.pid = any($2::int[]), false) as ours
   from account_balances balance
   left join pg_locks own_id
     on own_id.locktype = 'transactionid' and own_id.transactionid = balance.xmax and own_id.granted
   where account_id = any($1::text[]) and account_id not in (select account_id from free)`,
);

const keptPayments = prepared<{ payment_id: string; holder: string; ours: boolean }>(
  'kept_payments',
  `with free as materialized (
     select payment_id from payment_balances where payment_id = any($1::uuid[]) for no key update skip locked
   )
   select payment_id, balance.xmax::text as holder, coalesce(own_id.pid = any($2::int[]), false) as ours
   from payment_balances balance
   left join pg_locks own_id
     on own_id.locktype = 'transactionid' and own_id.transactionid = balance.xmax and own_id.granted
   where payment_id = any($1::uuid[]) and payment_id not in (select payment_id from free)`,
);

const keptKeys = prepared<{ number: number }>('kept_keys', 'select number from kept_keys($1, $2) as number');

/** A key that is being claimed is not visible, nor is by whom. */
const CLAIMING: LockHolder = { transactionId: 'unknown', ours: false };

/** See UnitOfWork.keptLocks; ours are the server processes of this process' transactions. */
export async function findKeptLocks(
  transaction: Transaction,
  locks: readonly Lock[],
  ours: readonly number[],
): Promise<ReadonlyMap<string, LockHolder>> {
  const kept = new Map<string, LockHolder>();
  const keys = locks.flatMap((lock) => ('idempotencyKey' in lock ? [lock] : []));
  if (keys.length > 0) {
    const callers = textArray(keys.map(({ caller }) => caller));
    const { rows } = await keptKeys(transaction, [
      callers,
      textArray(keys.map(({ idempotencyKey }) => idempotencyKey)),
    ]);
    for (const { number } of rows) kept.set(keys[number - 1]!.name, CLAIMING);
  }
  // From here on what is free is locked until the transaction ends, in the order in which payments lock it.
  const payments = new Map(
    locks.flatMap((lock) => ('paymentId' in lock ? [[ulidToUuid(lock.paymentId), lock.name]] : [])),
  );
  if (payments.size > 0) {
    const { rows } = await keptPayments(transaction, [plainArray([...payments.keys()]), ours]);
    for (const row of rows) {
      kept.set(payments.get(row.payment_id)!, { transactionId: row.holder, ours: row.ours });
    }
  }
  const accounts = new Map(locks.flatMap((lock) => ('accountId' in lock ? [[lock.accountId, lock.name]] : [])));
  if (accounts.size > 0) {
    const { rows } = await keptBalances(transaction, [textArray([...accounts.keys()]), ours]);
    for (const row of rows) {
      kept.set(accounts.get(row.account_id)!, { transactionId: row.holder, ours: row.ours });
    }
  }
  return kept;
}
