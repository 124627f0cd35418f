import type { Kysely } from 'kysely';
import { type CurrentPayment, type PaymentStatus, statusOf } from '../../../app/domain/payment-balance.ts';
import type { Page, PaymentCursor, PaymentFilter } from '../../../app/listings.ts';
import { ulidToUuid, uuidToUlid } from '../../../app/ulid.ts';
import type { Connection } from '../statement.ts';
import type { Database } from '../tables.ts';
import { findPayments } from './find-payments.ts';
import { idsInTime } from './ids-in-time.ts';
import { fittingPayments, type PageLimits } from './page-bytes.ts';
import { findVersions, max, min } from './versions.ts';

/** The most ledger entries that are looked at for one page. */
const MAX_SCANNED = 2_000;

type AccountFilter = PaymentFilter & { readonly accountId: string };

interface Listed {
  /** A uuid. */
  readonly payment_id: string;
}

/** What is left of the account's entries: those that are wanted, the newest first. */
interface Entries {
  readonly rows: readonly (Listed & { readonly version: bigint })[];
  /** Entries up to this one were not asked for by the pages before. */
  readonly high: bigint;
  /** The last entry that was looked at; undefined if none is left below it. */
  readonly cut: (Listed & { readonly version: bigint }) | undefined;
}

/**
 * Payments that were authorized at once come from the account's ledger, holds and
 * declined ones from an index of their own; each has its place in the cursor. They are
 * merged by id: where the ledger has another order, as for calls that came at one time,
 * the ledger's counts. What the wanted statuses leave out makes a page short.
 */
export async function listPaymentsOfAccount(
  connection: Connection,
  database: Kysely<Database>,
  filter: AccountFilter,
  cursor: PaymentCursor | undefined,
  { size, pageBytes }: PageLimits,
): Promise<Page<CurrentPayment, PaymentCursor>> {
  const entries = await readEntries(connection, database, filter, cursor, size);
  const others = await readOthers(database, filter, cursor, size);
  const whole = merge(entries, others, size);
  const fitting = await fittingPayments(connection, whole.listed, pageBytes);
  const { listed, entriesTaken, othersTaken } =
    fitting.length < whole.listed.length ? merge(entries, others, fitting.length) : whole;

  const all = entriesTaken === entries.rows.length && othersTaken === others.length;
  const found = await findPayments(connection, listed);
  const items = listed
    // An entry may be of a later action, which is no payment.
    .flatMap((uuid) => found.get(uuid) ?? [])
    .filter((payment) => filter.statuses.has(statusOf(payment, payment.balance)));
  if (all && entries.cut === undefined) return { items, next: undefined };
  const lastTaken = entries.rows[entriesTaken - 1];
  const newest = listed[0] && uuidToUlid(listed[0]);
  const lastEntry = entriesTaken === entries.rows.length ? (entries.cut ?? lastTaken) : lastTaken;
  const lastOther = others[othersTaken - 1];
  return {
    items,
    next: {
      versionBefore: lastEntry?.version ?? entries.high + 1n,
      // Without one, all that are left are older than the newest payment of the page.
      paymentBefore: lastOther ? uuidToUlid(lastOther.payment_id) : (cursor?.paymentBefore ?? newest),
    },
  };
}

async function readEntries(
  connection: Connection,
  database: Kysely<Database>,
  filter: AccountFilter,
  cursor: PaymentCursor | undefined,
  size: number,
): Promise<Entries> {
  const versions = filter.statuses.has('AUTHORIZED')
    ? await findVersions(connection, filter.accountId, filter)
    : undefined;
  if (versions === undefined) return { rows: [], high: 0n, cut: undefined };
  const { first, last } = versions;
  const high = cursor?.versionBefore === undefined ? last : min(last, cursor.versionBefore - 1n);
  const low = max(first, high - BigInt(MAX_SCANNED) + 1n);
  if (low > high) return { rows: [], high, cut: undefined };
  const range = database
    .selectFrom('ledger_entries')
    .select(['version', 'payment_id'])
    .where('account_id', '=', filter.accountId)
    .where('version', '>=', low)
    .where('version', '<=', high)
    .orderBy('version', 'desc');
  const rows = await range
    .where('direction', 'in', ['DEBIT', 'CREDIT'])
    // Those of captures have it.
    .where('released_cents', 'is', null)
    .$if(filter.role !== undefined, (query) =>
      query.where('direction', '=', filter.role === 'PAYER' ? 'DEBIT' : 'CREDIT'),
    )
    .limit(size)
    .execute();
  if (rows.length === size && rows.at(-1)!.version > first) return { rows, high, cut: rows.at(-1) };
  if (low === first) return { rows, high, cut: undefined };
  return { rows, high, cut: await range.where('version', '=', low).executeTakeFirst() };
}

async function readOthers(
  database: Kysely<Database>,
  { accountId, role, statuses, createdFrom, createdBefore }: AccountFilter,
  cursor: PaymentCursor | undefined,
  size: number,
): Promise<Listed[]> {
  const wantsDeclined = statuses.has('DECLINED');
  const wantsHolds = ['HELD', 'CAPTURED', 'VOIDED', 'EXPIRED'].some((status) => statuses.has(status as PaymentStatus));
  if (!wantsDeclined && !wantsHolds) return [];
  const { lowest, above } = idsInTime(createdFrom, createdBefore);
  const end = cursor?.paymentBefore === undefined ? above : ulidToUuid(cursor.paymentBefore);
  const listed = (side: 'payer_account_id' | 'payee_account_id') =>
    database
      .selectFrom('payments')
      .select('payment_id')
      .where('parent_id', 'is', null)
      .where((where) => where.or([where('status', '=', 'DECLINED'), where('kind', '=', 'HOLD')]))
      .$if(!wantsHolds, (query) => query.where('status', '=', 'DECLINED'))
      .$if(!wantsDeclined, (query) => query.where('status', '=', 'AUTHORIZED'))
      .where(side, '=', accountId)
      .where('payment_id', '>=', lowest)
      .$if(end !== undefined, (query) => query.where('payment_id', '<', end!))
      .$if(createdFrom !== undefined, (query) => query.where('created_at', '>=', createdFrom!))
      .$if(createdBefore !== undefined, (query) => query.where('created_at', '<', createdBefore!))
      .orderBy('payment_id', 'desc')
      // One more than the page can take tells whether there is a next page.
      .limit(size + 1)
      .execute();
  const asPayer = role === 'PAYEE' ? [] : await listed('payer_account_id');
  const asPayee = role === 'PAYER' ? [] : await listed('payee_account_id');
  return [...asPayer, ...asPayee].sort((one, other) => (one.payment_id > other.payment_id ? -1 : 1)).slice(0, size + 1);
}

/** What the page takes of both, in its order. */
function merge({ rows, cut }: Entries, others: readonly Listed[], size: number) {
  const listed: string[] = [];
  let entriesTaken = 0;
  let othersTaken = 0;
  while (listed.length < size) {
    const entry = rows[entriesTaken];
    const other = others[othersTaken];
    // What comes next in the ledger may be newer than this one.
    const unknown =
      entry === undefined && cut !== undefined && other !== undefined && other.payment_id < cut.payment_id;
    if ((entry === undefined && other === undefined) || unknown) break;
    if (other === undefined || (entry !== undefined && entry.payment_id > other.payment_id)) {
      listed.push(entry!.payment_id);
      entriesTaken += 1;
    } else {
      listed.push(other.payment_id);
      othersTaken += 1;
    }
  }
  return { listed, entriesTaken, othersTaken };
}
