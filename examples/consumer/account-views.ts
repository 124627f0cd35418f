import type pg from 'pg';
import { account_StateToJSON } from '../../src/gen/payment/v1/account.ts';
import { AccountChanged, AccountState } from '../../src/gen/payment/v1/events.ts';

export interface CloudEvent {
  /** ce_id */
  readonly id: string;
  /** ce_type */
  readonly type: string;
  /** The record's value. */
  readonly value: string;
}

type Side = 'payer' | 'payee';

/**
 * The types that are known here, and whose state each has. An event that adds to an
 * account's ledger has that account's; those of declines and of accounts add nothing.
 */
const STATES = new Map<string, readonly Side[]>([
  ['payment.authorized.v1', ['payer', 'payee']],
  ['payment.declined.v1', []],
  ['payment.held.v1', ['payer']],
  ['payment.captured.v1', ['payer', 'payee']],
  ['payment.voided.v1', ['payer']],
  ['payment.expired.v1', ['payer']],
  ['payment.refunded.v1', ['payer', 'payee']],
  ['payment.action_declined.v1', []],
]);
const ACCOUNT_CHANGES = ['opened', 'updated', 'frozen', 'unfrozen', 'closed'].map((change) => `account.${change}.v1`);

/** Whether this consumer knows what an event of the type says; of any other it takes what states of accounts it has. */
export function isKnown(type: string): boolean {
  return STATES.has(type) || ACCOUNT_CHANGES.includes(type);
}

/** An account as an event left it. */
interface ChangedAccount {
  readonly accountId: string;
  readonly currency: string;
  readonly state: AccountState;
}

/**
 * Takes an event into the account views. The event's id and what it changes are
 * written in one transaction: a repeat finds the id there and changes nothing.
 * Returns whether it was new. Throws for an event that cannot be read: leaving it
 * out would leave balances wrong.
 */
export async function handleEvent(client: pg.ClientBase, event: CloudEvent): Promise<boolean> {
  await client.query('begin');
  try {
    // Another consumer that has the same event under way is waited for here.
    const { rowCount } = await client.query('insert into seen_events (event_id) values ($1) on conflict do nothing', [
      event.id,
    ]);
    if (rowCount === 1) {
      for (const changed of changedAccounts(event)) await applyState(client, changed);
      if (ACCOUNT_CHANGES.includes(event.type)) await applyChange(client, event);
    }
    await client.query('commit');
    return rowCount === 1;
  } catch (error) {
    // On a broken connection this fails as well; Postgres has then rolled back by itself.
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

/**
 * The accounts whose state an event tells, in the order of their ids, so that two
 * consumers never wait for each other. Types of payments that are not known here may
 * have some too: leaving them out would look like a gap in the accounts' versions.
 */
function changedAccounts({ id, type, value }: CloudEvent): ChangedAccount[] {
  if (!type.startsWith('payment.')) return [];
  const event = JSON.parse(value);
  for (const side of STATES.get(type) ?? []) {
    if (event[side] === undefined) throw new Error(`Event ${id} (${type}) lacks the state of its ${side}`);
  }
  return (['payer', 'payee'] as const)
    .filter((side) => event[side] !== undefined)
    .map((side) => ({
      accountId: String(event[`${side}AccountId`]),
      currency: String(event.currency),
      state: AccountState.fromJSON(event[side]),
    }))
    .sort((one, other) => (one.accountId < other.accountId ? -1 : 1));
}

/** Keeps what the account is after the change with the highest revision. It says nothing of balances. */
async function applyChange(client: pg.ClientBase, { value }: CloudEvent): Promise<void> {
  const change = AccountChanged.fromJSON(JSON.parse(value));
  const { accountId, revision, state, debitsFrozen, creditsFrozen, overdraftLimitCents, metadata } = change;
  await client.query(
    `insert into account_states as known
       (account_id, revision, state, debits_frozen, credits_frozen, overdraft_limit_cents, metadata)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (account_id) do update
     set (revision, state, debits_frozen, credits_frozen, overdraft_limit_cents, metadata) =
       (excluded.revision, excluded.state, excluded.debits_frozen, excluded.credits_frozen,
        excluded.overdraft_limit_cents, excluded.metadata)
     where known.revision < excluded.revision`,
    [accountId, revision, account_StateToJSON(state), debitsFrozen, creditsFrozen, overdraftLimitCents, metadata],
  );
}

/** Keeps the state with the higher version, and remembers versions that were jumped over until they come. */
async function applyState(client: pg.ClientBase, { accountId, currency, state }: ChangedAccount): Promise<void> {
  const { version, balanceCents, pendingCents } = state;
  const first = await client.query(
    `insert into account_views (account_id, currency, balance_cents, pending_cents, version) values ($1, $2, $3, $4, $5)
     on conflict do nothing`,
    [accountId, currency, balanceCents, pendingCents, version],
  );
  // What came before the first that is seen may be past the topic's retention.
  if (first.rowCount === 1) return;

  const { rows } = await client.query<{ version: string }>(
    'select version::text from account_views where account_id = $1 for update',
    [accountId],
  );
  const known = BigInt(rows[0]!.version);
  if (version <= known) {
    await client.query('delete from missing_versions where account_id = $1 and version = $2', [accountId, version]);
    return;
  }
  await client.query(
    'update account_views set balance_cents = $2, pending_cents = $3, version = $4 where account_id = $1',
    [accountId, balanceCents, pendingCents, version],
  );
  await client.query(
    `insert into missing_versions (account_id, version)
     select $1, missing from generate_series($2::bigint + 1, $3::bigint - 1) as missing`,
    [accountId, known, version],
  );
}
