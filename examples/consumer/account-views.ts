import type pg from 'pg';
import { type AccountState, PaymentAuthorized } from '../../src/gen/payment/v1/events.ts';

export interface CloudEvent {
  /** ce_id */
  readonly id: string;
  /** ce_type */
  readonly type: string;
  /** The record's value. */
  readonly value: string;
}

/**
 * Takes an event into the account views. The event's id and what it changes are
 * written in one transaction: a repeat finds the id there and changes nothing.
 * Returns whether it was new.
 */
export async function handleEvent(client: pg.ClientBase, event: CloudEvent): Promise<boolean> {
  await client.query('begin');
  try {
    const { rowCount } = await client.query('insert into seen_events (event_id) values ($1) on conflict do nothing', [
      event.id,
    ]);
    // Types that are not known here, such as payment.declined.v1, move no money.
    if (rowCount === 1 && event.type === 'payment.authorized.v1') {
      await applyPayment(client, PaymentAuthorized.fromJSON(JSON.parse(event.value)));
    }
    await client.query('commit');
    return rowCount === 1;
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

async function applyPayment(client: pg.ClientBase, payment: PaymentAuthorized): Promise<void> {
  const { payerAccountId, payeeAccountId, payer, payee, currency } = payment;
  if (payer === undefined || payee === undefined)
    throw new Error(`Payment ${payment.paymentId} lacks an account's state`);
  const sides: [string, AccountState][] = [
    [payerAccountId, payer],
    [payeeAccountId, payee],
  ];
  // In the order of their ids, so that two consumers never wait for each other.
  for (const [accountId, state] of sides.sort(([one], [other]) => (one < other ? -1 : 1))) {
    await applyState(client, accountId, currency, state);
  }
}

/** Keeps the state with the higher version, and remembers versions that were jumped over until they come. */
async function applyState(
  client: pg.ClientBase,
  accountId: string,
  currency: string,
  { version, balanceCents }: AccountState,
): Promise<void> {
  const first = await client.query(
    `insert into account_views (account_id, currency, balance_cents, version) values ($1, $2, $3, $4)
     on conflict do nothing`,
    [accountId, currency, balanceCents, version],
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
  await client.query('update account_views set balance_cents = $2, version = $3 where account_id = $1', [
    accountId,
    balanceCents,
    version,
  ]);
  await client.query(
    `insert into missing_versions (account_id, version)
     select $1, missing from generate_series($2::bigint + 1, $3::bigint - 1) as missing`,
    [accountId, known, version],
  );
}
